-- The backups that are kept.
-- Grain   one row per table: its name, until when it is kept
-- Reads   system.tables alone
SELECT name, comment
FROM system.tables
WHERE database = currentDatabase() AND startsWith(name, {prefix:String})
ORDER BY name
