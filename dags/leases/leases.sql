-- The leases that are held, all days.
-- Grain   one row per lease: its name, its holder, seconds since it was made
-- Reads   system.tables alone
SELECT name, comment, dateDiff('second', metadata_modification_time, now()) AS seconds
FROM system.tables
WHERE database = currentDatabase() AND startsWith(name, {prefix:String})
