-- What people ever asked of every piece of work of which something was asked while a run was at it; see asks.sql.
-- Grain   one row per such event, each work's in order
-- Reads   all events' names, and those of these works
SELECT backfill_id, event, status, name, requested_by, reason, run_id, at, server_at, now64(6, 'UTC')
FROM web_analytics_backfill_events
WHERE
    event IN ('control', 'started', 'ended')
    AND backfill_id IN (SELECT backfill_id FROM web_analytics_backfill_events WHERE event = 'control')
ORDER BY backfill_id, at
