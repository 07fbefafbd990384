-- Every piece of work, as far as it matters for how long it is kept.
-- Grain   one row per work that was accepted: what it is, when anything happened to it last, whether it was ever
--         completed, its runs
-- Reads   all events
SELECT
    work_id,
    argMinIf(kind, at, event = 'accepted') AS work_kind,
    argMinIf(subject, at, event = 'accepted') AS work_subject,
    argMinIf(first_step, at, event = 'accepted') AS step,
    argMaxIf(status, at, status != '') AS last_status,
    max(at) AS last_at,
    countIf(status = 'completed') > 0 AS was_completed,
    groupUniqArrayIf(run_id, run_id != '') AS run_ids
FROM web_analytics_work_events
GROUP BY work_id
HAVING countIf(event = 'accepted') > 0
ORDER BY last_at, work_id
