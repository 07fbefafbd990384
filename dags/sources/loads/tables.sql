-- The tables beside the target that are named as a load's are.
-- Grain   one row per table
SELECT name
FROM system.tables
WHERE database = currentDatabase() AND arrayExists(prefix -> startsWith(name, prefix), {prefixes:Array(String)})
ORDER BY name
