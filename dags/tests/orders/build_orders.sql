-- The orders of [start, end), by day and account.
INSERT INTO orders_by_day
SELECT toDate(ordered_at) AS day, account_id, count(), uniqState(customer)
FROM orders
WHERE ordered_at >= toDateTime({start:Date}, 'UTC') AND ordered_at < toDateTime({end:Date}, 'UTC')
GROUP BY day, account_id
