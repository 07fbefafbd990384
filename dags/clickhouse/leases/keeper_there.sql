-- Whether leases of this database are kept in Keeper, which a server that works alone would pass by.
-- Grain   one row
SELECT count() AS tables
FROM system.tables
WHERE database = currentDatabase() AND name = {leases:String} AND engine = 'KeeperMap'
