-- How the replicated tables of the database stand on this server, by what Keeper has of them now.
-- Grain   one row per replicated table: whether the server has lost it to Keeper; how many entries of its log the
--         server has taken, and how many others have written, which is 1 also where nobody ever wrote; whether
--         it has no session with Keeper
-- Reads   system.replicas, which asks Keeper for a few nodes a table
SELECT
    table,
    is_readonly OR is_session_expired OR zookeeper_exception != '' AS is_cut_off,
    absolute_delay,
    zookeeper_exception AS why,
    log_pointer AS taken,
    log_max_index + 1 AS written,
    is_session_expired AS is_alone
FROM system.replicas
WHERE database = currentDatabase()
ORDER BY table
