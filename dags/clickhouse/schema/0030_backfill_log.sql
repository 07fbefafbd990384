-- The audit: one row a backfill, read from its events. rows_affected: the rows of the days that it published, each day
-- as it was left; completed_at is NULL while the backfill is not over.
CREATE VIEW IF NOT EXISTS backfill_log
AS
SELECT
    backfill_id,
    any(table_name) AS table_name,
    any(start_date) AS start_date,
    any(end_date) AS end_date,
    argMax(day_status, (status_at, day)) AS status,
    sum(day_rows) AS rows_affected,
    min(first_at) AS started_at,
    if(status IN ('accepted', 'running', 'paused', 'interrupted'), NULL, max(status_at)) AS completed_at,
    max(day_origin) AS origin,
    max(day_requested_by) AS requested_by,
    max(day_reason) AS reason,
    argMax(last_run_id, (last_at, day)) AS run_id
FROM
(
    SELECT
        backfill_id,
        day,
        any(table_name) AS table_name,
        any(start_date) AS start_date,
        any(end_date) AS end_date,
        argMaxIf(status, at, status != '') AS day_status,
        maxIf(at, status != '') AS status_at,
        argMaxIf(rows, at, event IN ('day_done', 'day_restored')) AS day_rows,
        min(at) AS first_at,
        anyIf(origin, event = 'accepted') AS day_origin,
        anyIf(requested_by, event = 'accepted') AS day_requested_by,
        anyIf(reason, event = 'accepted') AS day_reason,
        argMaxIf(run_id, at, event IN ('accepted', 'started')) AS last_run_id,
        maxIf(at, event IN ('accepted', 'started')) AS last_at
    FROM web_analytics_backfill_events
    GROUP BY backfill_id, day
)
GROUP BY backfill_id
