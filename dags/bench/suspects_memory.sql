-- The most memory that one comparison of projections and ledger has needed in this database.
-- Grain   one row
SELECT max(memory_usage) AS peak_bytes, count() AS statements
FROM system.query_log
WHERE
    type = 'QueryFinish'
    AND current_database = currentDatabase()
    AND has(tables, concat(currentDatabase(), '.web_pre_aggregated_builds'))
    AND position(query, 'AS suspects') > 0
