-- The last event of the switch. Of two that were made at once, and have one stamp, the one that stops counts.
-- Grain   at most one row
-- Reads   every event; people make them, so they are few
SELECT is_stopped, reason, requested_by, at
FROM web_analytics_backfill_stops
ORDER BY at DESC, is_stopped DESC
LIMIT 1
