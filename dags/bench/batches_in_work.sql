-- The batches of a load that are landing right now.
-- Grain   one row
SELECT count() AS statements, now64(6, 'UTC') AS at
FROM system.processes
WHERE
    Settings['log_comment'] = {way:String}
    AND query_kind = 'Insert'
    AND position(query, 'insert_deduplication_token') > 0
    AND elapsed > 0.005
