-- The orders of some accounts' day.
INSERT INTO $staging
SELECT toDate(ordered_at) AS day, account_id, count(), uniqState(customer)
FROM orders
WHERE
    ordered_at >= toDateTime({day:Date}, 'UTC')
    AND ordered_at < toDateTime({day:Date} + 1, 'UTC')
    AND account_id IN {teams:Array(UInt64)}
GROUP BY day, account_id
