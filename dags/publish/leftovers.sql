-- Staging tables, bids for leases, and leases. Read before who holds the leases is: what is staged under no lease then
-- is of a build that has ended, for a build holds its lease before it stages anything.
-- Grain   one row per table; the comment of a lease names its holder
-- Reads   system.tables alone
SELECT name, comment
FROM system.tables
WHERE database = currentDatabase() AND arrayExists(prefix -> startsWith(name, prefix), {prefixes:Array(String)})
