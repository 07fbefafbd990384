-- Who holds a lease, if anybody does.
-- Grain   at most one row: its name, its holder, seconds since it was made, or since the server began: signs of
--         life are kept in memory, and who lives has had no time to give one since
-- Reads   system.tables, one table of it
SELECT name, comment, least(dateDiff('second', metadata_modification_time, now()), toInt64(uptime())) AS seconds
FROM system.tables
WHERE database = currentDatabase() AND name = {lease:String}
