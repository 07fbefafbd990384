-- The days that a load brings, with their rows.
-- Grain   one row per day
-- Reads   one column of all that has landed
SELECT _day, count()
FROM $landing
GROUP BY _day
ORDER BY _day
