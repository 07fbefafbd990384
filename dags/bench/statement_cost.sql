-- What the statements of one way cost together, from the server's own log; a way is known by its comment.
-- Grain   one row
SELECT
    max(memory_usage) AS peak_bytes,
    sum(ProfileEvents['OSCPUVirtualTimeMicroseconds']) / 1000000 AS cpu_seconds,
    count() AS statements
FROM system.query_log
WHERE type = 'QueryFinish' AND log_comment = {way:String}
