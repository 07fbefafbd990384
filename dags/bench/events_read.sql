-- What the statements of one way that read `events` have read, the staged sessions that some of them join included.
-- Grain   one row
-- Reads   system.query_log, the statements that carry the way's mark
SELECT sum(read_rows) AS rows, sum(read_bytes) AS bytes
FROM system.query_log
WHERE
    log_comment = {way:String}
    AND type = 'QueryFinish'
    AND has(tables, concat(currentDatabase(), '.events'))
