-- What the statements of one way cost together, from the server's own log; a way is known by its comment.
-- Grain   one row; of the rows read those by statements that read `events`, what some of them join to it included
SELECT
    max(memory_usage) AS peak_bytes,
    sum(ProfileEvents['OSCPUVirtualTimeMicroseconds']) / 1000000 AS cpu_seconds,
    sumIf(read_rows, has(tables, concat(currentDatabase(), '.events'))) AS event_rows
FROM system.query_log
WHERE type = 'QueryFinish' AND log_comment = {way:String}
