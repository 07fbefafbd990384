-- In which state a source was last seen, by day.
-- Grain   one row per day
-- Reads   one source's days of [start, end)
SELECT day, partitions, doubted_since
FROM web_pre_aggregated_source_states FINAL
WHERE source = {source:String} AND day >= {start:Date} AND day < {end:Date}
