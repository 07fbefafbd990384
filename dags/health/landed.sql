-- When something was last written into tables of loads, which is a sign of life of theirs.
-- Grain   one row per table that holds something
-- Reads   system.parts, those of the tables that are named like one of a load
SELECT table, toDateTime64(max(modification_time), 6, 'UTC')
FROM system.parts
WHERE database = currentDatabase() AND active AND arrayExists(prefix -> startsWith(table, prefix), {prefixes:Array(String)})
GROUP BY table
