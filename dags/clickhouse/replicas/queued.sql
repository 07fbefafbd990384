-- What this server has taken from the logs of its replicated tables and not done.
-- Grain   one row per entry that changes rows here: its table, its name. Merges, mutations and changes of columns that
--         are to be done leave the rows what they are
-- Reads   system.replication_queue, which is in memory
SELECT table, node_name
FROM system.replication_queue
WHERE database = currentDatabase() AND type NOT IN ('MERGE_PARTS', 'MUTATE_PART', 'ALTER_METADATA')
