-- Who holds some leases, as far as the names tell: enough for one that asks whether they are still its own.
-- Grain   one row per table that exists: its name, its holder's token
-- Reads   system.tables, these tables of it
SELECT name, comment
FROM system.tables
WHERE database = currentDatabase() AND name IN {leases:Array(String)}
