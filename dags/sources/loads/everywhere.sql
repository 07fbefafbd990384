-- On which days how much of some loads is in the target.
-- Grain   one row per day on which a row of them is
-- Reads   what an index on load_id does not rule out
SELECT toDate(timestamp) AS day, count()
FROM $target
WHERE load_id IN {loads:Array(UInt64)}
GROUP BY day
ORDER BY day
