-- Which replicas are alive, as Keeper has it: each that has a session of its own there.
-- Grain   one row per replica of a table that all have: its name, and whether it is
-- Reads   system.replicas, which asks Keeper
SELECT replica.1 AS name, replica.2 = 1 AS is_active
FROM system.replicas
ARRAY JOIN CAST(replica_is_active, 'Array(Tuple(String, UInt8))') AS replica
WHERE database = currentDatabase() AND table = {table:String}
