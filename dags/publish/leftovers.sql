-- Staging tables, and bids for leases. Read before the leases are: what is staged under no lease then is of a build
-- that has ended, for a build holds its lease before it stages anything.
-- Grain   one row per table
-- Reads   system.tables alone
SELECT name
FROM system.tables
WHERE database = currentDatabase() AND arrayExists(prefix -> startsWith(name, prefix), {prefixes:Array(String)})
