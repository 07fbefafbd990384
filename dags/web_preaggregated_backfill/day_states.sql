-- What earlier detections found, by day, and in which state of the tables.
-- Grain   one row per day
-- Reads   the days of [start, end)
SELECT day, state, read_at, complete, outdated, wrong
FROM web_pre_aggregated_day_states FINAL
WHERE day >= {start:Date} AND day < {end:Date}
