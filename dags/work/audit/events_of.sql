-- Everything that happened to a piece of work, in order.
-- Grain   one row per event; on each the server's clock, by which events are stamped
-- Reads   that work's events, from the table itself: the view of it costs twice as much
SELECT $columns, now64(6, 'UTC') AS read_at
FROM web_analytics_backfill_events
WHERE backfill_id = {work_id:String}
ORDER BY at
