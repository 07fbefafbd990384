-- What was ever asked of a backfill while it was at work: pause or cancel, by whom and why.
-- Grain   one row per request, in order
-- Reads   that backfill's events
SELECT name, requested_by, reason
FROM web_analytics_backfill_events
WHERE backfill_id = {backfill_id:String} AND event = 'control'
ORDER BY at
