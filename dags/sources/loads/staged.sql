-- What was staged.
-- Grain   one row per day
SELECT toDate(timestamp) AS day, count()
FROM $staging
GROUP BY day
