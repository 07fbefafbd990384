-- What people ever asked of a piece of work, or of every one of which something was asked while a run was at it: to be
-- paused or cancelled; and its starts and ends, which tell what of that is settled.
-- Grain   one row per such event, each work's in order: what, by whom, why, in which run, its stamps; the server's
--         clock now
-- Reads   that work's events, or all where the id is empty
SELECT backfill_id, event, status, name, requested_by, reason, run_id, at, server_at, now64(6, 'UTC')
FROM web_analytics_backfill_events
WHERE
    event IN ('control', 'started', 'ended')
    AND if(
        {work_id:String} = '',
        backfill_id IN (SELECT backfill_id FROM web_analytics_backfill_events WHERE event = 'control'),
        backfill_id = {work_id:String}
    )
ORDER BY backfill_id, at
