-- How many leases are held.
-- Grain   one row
-- Reads   the names in system.tables
SELECT count()
FROM system.tables
WHERE database = currentDatabase() AND startsWith(name, {prefix:String})
