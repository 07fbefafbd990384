-- What people ever asked of a piece of work: to be paused or cancelled, whether a run had to be told or none was at it.
-- Grain   one row per request, in order: what, by whom, why, in which run, its stamps; the server's clock now
-- Reads   that work's events
SELECT if(event = 'control', name, status) AS asked, requested_by, reason, run_id, at, server_at, now64(6, 'UTC')
FROM web_analytics_work_events
WHERE
    work_id = {work_id:String}
    AND requested_by != ''
    AND (event = 'control' OR (event = 'ended' AND status IN ('paused', 'cancelled')))
ORDER BY at
