-- How works ended last, and why; of one that was deleted since, how before that.
-- Grain   one row per work that has ended at least once
-- Reads   all events
SELECT
    work_id,
    argMax(status, at) AS outcome,
    argMax(payload, at) AS words,
    argMax(requested_by, at) AS asked_by,
    argMax(reason, at) AS asked_why
FROM web_analytics_work_events
WHERE event IN ('ended', 'step_done', 'step_failed') AND status NOT IN ('', 'deleted')
GROUP BY work_id
