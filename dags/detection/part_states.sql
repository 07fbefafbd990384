-- In which state the parts of some tables were last seen, by day.
-- Grain   one row per table and day
-- Reads   the tables' days of [start, end)
SELECT table_name, day, partitions, doubted_since
FROM web_pre_aggregated_part_states FINAL
WHERE table_name IN {tables:Array(String)} AND day >= {start:Date} AND day < {end:Date}
