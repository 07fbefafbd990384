-- Since when some tables are there.
-- Grain   one row per table that exists
-- Reads   system.tables, these tables of it
SELECT name, toDateTime64(metadata_modification_time, 6, 'UTC')
FROM system.tables
WHERE database = currentDatabase() AND name IN {names:Array(String)}
