-- Everything that happened to a piece of work, in order.
-- Grain   one row per event; on each the server's clock, by which events are stamped
-- Reads   that work's events
SELECT $columns, now64(6, 'UTC') AS read_at
FROM web_analytics_work_events
WHERE work_id = {work_id:String}
ORDER BY at
