-- Staging tables of builds that must be dead: older than any run may last.
-- Grain   one row per table
SELECT name
FROM system.tables
WHERE
    database = currentDatabase()
    AND startsWith(name, {prefix:String})
    AND metadata_modification_time < now() - toIntervalSecond({older_than_seconds:UInt32})
