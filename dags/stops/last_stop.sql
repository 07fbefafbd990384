-- The last event of the switch.
-- Grain   at most one row
-- Reads   every event; people make them, so they are few
SELECT is_stopped, reason, requested_by, at
FROM web_analytics_backfill_stops
ORDER BY at DESC
LIMIT 1
