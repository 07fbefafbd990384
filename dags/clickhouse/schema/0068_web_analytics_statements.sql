-- What each statement of a run or a tick has cost a server, for dashboards: processor and memory, which nothing else knows.
-- Grain   one row per statement that is over, of those that this location has asked of this database
-- run_id  the run that asked it, by its `log_comment`; `tick` for all ticks of sensors and schedules
-- week    the Monday of the ISO week in UTC. event_date: the day by the server's own time zone
-- cpu_seconds: of all its threads. peak_memory: bytes, the most that it had at once
-- Reads   system.query_log, as far as `event_date` is narrowed down; what happened in the last seconds is not in it yet.
--         Its columns are spelt, or the view could not be made where there is no log: on the embedded engine, on a server
--         that keeps none or has not written it yet. Who reads it there gets UNKNOWN_TABLE, which says so.
CREATE OR REPLACE VIEW web_analytics_statements
(
    event_date Date,
    event_time DateTime,
    week Date,
    run_id String,
    is_failed Bool,
    cpu_seconds Float64,
    peak_memory UInt64,
    rows_read UInt64,
    bytes_read UInt64
)
AS
SELECT
    event_date,
    event_time,
    toMonday(event_time, 'UTC') AS week,
    if(startsWith(log_comment, 'tick'), 'tick', log_comment) AS run_id,
    type != 'QueryFinish' AS is_failed,
    (ProfileEvents['UserTimeMicroseconds'] + ProfileEvents['SystemTimeMicroseconds']) / 1000000 AS cpu_seconds,
    memory_usage AS peak_memory,
    read_rows AS rows_read,
    read_bytes AS bytes_read
FROM system.query_log
WHERE type IN ('QueryFinish', 'ExceptionWhileProcessing') AND is_initial_query AND current_database = '$database'
    AND match(log_comment, '^(tick( .*)?|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$$')
