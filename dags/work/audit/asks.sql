-- What people ever asked of a piece of work: to be paused or cancelled; and its starts and ends, which tell what of that is
-- settled.
-- Grain   one row per such event, in order: what, by whom, why, in which run, its stamps; the server's clock now
-- Reads   that work's events, by the primary key: it is asked before every batch
SELECT backfill_id, event, status, name, requested_by, reason, run_id, at, server_at, now64(6, 'UTC')
FROM web_analytics_backfill_events
WHERE backfill_id = {work_id:String} AND event IN ('control', 'started', 'ended')
ORDER BY at
