-- The truth about some units, named by two arrays of equal length: customers and orders of an account's day.
-- Grain   one row per unit with an order
-- Reads   those accounts' orders of those days
SELECT toDate(ordered_at) AS day, account_id, uniq(customer), count()
FROM orders
WHERE
    ordered_at >= toDateTime(arrayMin({days:Array(Date)}), 'UTC')
    AND ordered_at < toDateTime(arrayMax({days:Array(Date)}) + 1, 'UTC')
    AND (day, toUInt64(account_id)) IN arrayZip({days:Array(Date)}, {teams:Array(UInt64)})
GROUP BY day, account_id
