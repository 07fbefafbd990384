-- Everything that happened to one backfill, in order.
-- Grain   one row per event; on each the server's clock, by which events are stamped
-- Reads   that backfill's events
SELECT
    event, status, origin, table_name, start_date, end_date, chunk, day, name, is_passed, rows, total, source_rows,
    seconds, requested_by, reason, run_id, detail, at, server_at, now64(6, 'UTC') AS read_at
FROM web_analytics_backfill_events
WHERE backfill_id = {backfill_id:String}
ORDER BY at
