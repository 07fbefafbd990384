-- What people ever asked of a backfill: to be paused or cancelled, whether a run had to be told or none was at work.
-- Grain   one row per request, in order: what, by whom, why, in which run, its stamps; the server's clock now
-- Reads   that backfill's events
SELECT if(event = 'control', name, status) AS asked, requested_by, reason, run_id, at, server_at, now64(6, 'UTC')
FROM web_analytics_backfill_events
WHERE
    backfill_id = {backfill_id:String}
    AND requested_by != ''
    AND (event = 'control' OR (event = 'ended' AND status IN ('paused', 'cancelled')))
ORDER BY at
