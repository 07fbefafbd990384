-- The works of a kind that are not over: in work, or to be gone on with.
-- Grain   one row per work
-- Reads   all events
SELECT
    work_id, kind, subject, first_step, last_step, status, rows, started_at, completed_at, requested_by, reason, run_id
FROM web_analytics_work_log
WHERE kind = {kind:String} AND status IN ('accepted', 'running', 'paused', 'interrupted', 'rolling back')
