-- The most memory that the statements of a load have needed at once. Each counts with its peak for as long as it runs,
-- so that statements that peak at different moments count as if they did at once: it was no more than this.
-- Grain   one row
-- Reads   the server's own log
SELECT max(together) AS peak_bytes
FROM
(
    SELECT sum(change.2) OVER (ORDER BY change.1, change.2) AS together
    FROM
    (
        SELECT
            arrayJoin(
                [
                    (query_start_time_microseconds, toInt64(memory_usage)),
                    (event_time_microseconds, -toInt64(memory_usage))
                ]
            ) AS change
        FROM system.query_log
        WHERE type = 'QueryFinish' AND log_comment = {way:String}
    )
)
