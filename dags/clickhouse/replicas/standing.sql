-- How the replicated tables of the database stand on this server, by what Keeper has of them now.
-- Grain   one row per replicated table: whether the server has lost it to Keeper; whether others have written what is
--         not here: what the log has and this server has not taken from it, or has taken and not done. Merges and
--         mutations that are to be done leave the rows what they are
-- Reads   system.replicas, which asks Keeper for a few nodes a table
-- A table into which nothing was ever written has both numbers at 0, as one whose very first entry is not here yet: that
-- one is taken for the former, and is here within the next moment. Else such tables would be behind for ever.
WITH log_pointer = 0 AND log_max_index = 0 AS is_empty_log
SELECT
    table,
    is_readonly OR is_session_expired OR zookeeper_exception != '' AS is_cut_off,
    (log_pointer <= log_max_index AND NOT is_empty_log)
        OR queue_size > merges_in_queue + part_mutations_in_queue AS is_behind,
    absolute_delay,
    zookeeper_exception AS why
FROM system.replicas
WHERE database = currentDatabase()
ORDER BY table
