-- Who holds a lease, if anybody does.
-- Grain   at most one row: its name, its holder, seconds since it was made
-- Reads   system.tables, one table of it
SELECT name, comment, dateDiff('second', metadata_modification_time, now()) AS seconds
FROM system.tables
WHERE database = currentDatabase() AND name = {lease:String}
