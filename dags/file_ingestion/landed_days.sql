-- The days on which a group of files brings rows.
-- Grain   one row per day
-- Reads   one column of all that has landed
SELECT toDate(timestamp) AS day, count()
FROM $landing
WHERE timestamp >= toDateTime(86400, 'UTC')
GROUP BY day
ORDER BY day
