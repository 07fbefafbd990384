-- The truth about some accounts' day: customers and orders.
-- Grain   one row per account with an order
-- Reads   those accounts' orders of the day
SELECT account_id, uniq(customer), count()
FROM orders
WHERE toDate(ordered_at) = {day:Date} AND account_id IN {teams:Array(UInt64)}
GROUP BY account_id
