-- When a run that was launched after a moment has recorded its start, and when its first batch began to land.
-- Grain   one row; 1970 where that has not been
-- Reads   the log of all work, and the server's own
SELECT
    (
        SELECT max(server_at)
        FROM web_analytics_backfill_events
        WHERE event = 'started' AND server_at > {since:DateTime64(6, 'UTC')}
    ) AS started,
    (
        SELECT min(query_start_time_microseconds)
        FROM system.query_log
        WHERE
            type = 'QueryFinish'
            AND query_kind = 'Insert'
            AND position(query, 'INSERT INTO web_analytics_landing') = 1
            AND query_start_time_microseconds > {since:DateTime64(6, 'UTC')}
    ) AS landing
