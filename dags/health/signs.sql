-- When works gave their last sign by their events, and how many of their steps are done.
-- Grain   one row per work that is asked about
-- Reads   the events of these works
SELECT work_id, max(server_at), uniqExactIf(step, event = 'step_done')
FROM web_analytics_work_events
WHERE work_id IN {works:Array(String)}
GROUP BY work_id
