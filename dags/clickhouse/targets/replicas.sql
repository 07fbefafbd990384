-- How many replicas some tables have, by Keeper's account, and on which path.
-- Grain   one row per replicated table
-- Reads   system.replicas, which asks Keeper
SELECT table, total_replicas, zookeeper_path
FROM system.replicas
WHERE database = currentDatabase() AND table IN {tables:Array(String)}
