-- The audit of all work: one row a work, read from its events. subject, first_step, last_step: as it was accepted, for
-- what other events say of them may be by hand. accepted_at: NULL where it never was. rows: of the steps that it did, each
-- as it was left; completed_at is NULL while the work is not over, and while it is taken back.
CREATE OR REPLACE VIEW web_analytics_work_log
AS
SELECT
    work_id,
    max(step_kind) AS kind,
    argMinIf(step_subject, step_accepted_at, isNotNull(step_accepted_at)) AS subject,
    argMinIf(step_first_step, step_accepted_at, isNotNull(step_accepted_at)) AS first_step,
    argMinIf(step_last_step, step_accepted_at, isNotNull(step_accepted_at)) AS last_step,
    argMax(step_status, (status_at, step)) AS status,
    sum(step_rows) AS rows,
    min(first_at) AS started_at,
    if(status IN ('accepted', 'running', 'paused', 'interrupted', 'rolling back'), NULL, max(status_at)) AS completed_at,
    max(step_requested_by) AS requested_by,
    max(step_reason) AS reason,
    argMax(last_run_id, (last_at, step)) AS run_id,
    min(step_accepted_at) AS accepted_at
FROM
(
    SELECT
        work_id,
        step,
        minOrNullIf(at, event = 'accepted') AS step_accepted_at,
        argMinIf(subject, at, event = 'accepted') AS step_subject,
        argMinIf(first_step, at, event = 'accepted') AS step_first_step,
        argMinIf(last_step, at, event = 'accepted') AS step_last_step,
        argMaxIf(status, at, status != '') AS step_status,
        maxIf(at, status != '') AS status_at,
        argMaxIf(rows, at, event IN ('step_done', 'step_undone')) AS step_rows,
        min(at) AS first_at,
        anyIf(kind, event = 'accepted') AS step_kind,
        anyIf(requested_by, event = 'accepted') AS step_requested_by,
        anyIf(reason, event = 'accepted') AS step_reason,
        argMaxIf(run_id, at, event IN ('accepted', 'started')) AS last_run_id,
        maxIf(at, event IN ('accepted', 'started')) AS last_at
    FROM web_analytics_work_events
    GROUP BY work_id, step
)
GROUP BY work_id
