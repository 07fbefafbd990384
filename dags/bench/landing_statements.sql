-- The batches of a load: how many have landed, and how many of these began after a moment.
-- Grain   one row
-- Reads   the server's own log
SELECT count() AS statements, countIf(query_start_time_microseconds > {since:DateTime64(6, 'UTC')}) AS later
FROM system.query_log
WHERE
    type = 'QueryFinish'
    AND log_comment = {way:String}
    AND query_kind = 'Insert'
    AND position(query, 'insert_deduplication_token') > 0
