-- What was last asked of a running backfill: pause or cancel; nothing once it has been started again.
-- Grain   at most one row
-- Reads   that backfill's events
SELECT name, requested_by, reason
FROM web_analytics_backfill_events
WHERE
    backfill_id = {backfill_id:String}
    AND event = 'control'
    AND at > (
        SELECT max(at) FROM web_analytics_backfill_events WHERE backfill_id = {backfill_id:String} AND event = 'started'
    )
ORDER BY at DESC
LIMIT 1
