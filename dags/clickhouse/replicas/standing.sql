-- How the replicated tables of the database stand on this server, by what Keeper has of them now.
-- Grain   one row per replicated table: whether the server has lost it to Keeper; whether others have written what is
--         not here: what the log has and this server has not taken from it, or has taken and not done. Merges and
--         mutations that are to be done leave the rows what they are
-- Reads   system.replicas, which asks Keeper for a few nodes a table
SELECT
    table,
    is_readonly OR is_session_expired OR zookeeper_exception != '' AS is_cut_off,
    log_pointer <= log_max_index OR queue_size > merges_in_queue + part_mutations_in_queue AS is_behind,
    absolute_delay,
    zookeeper_exception AS why
FROM system.replicas
WHERE database = currentDatabase()
ORDER BY table
