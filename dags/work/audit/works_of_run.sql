-- The works that a run has begun, gone on with or taken back.
-- Grain   one row per work
-- Reads   all events
SELECT DISTINCT work_id
FROM web_analytics_work_events
WHERE run_id = {run_id:String} AND event IN ('accepted', 'started')
ORDER BY work_id
