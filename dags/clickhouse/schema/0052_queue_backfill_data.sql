-- The queue of backfills from PostgreSQL: one row a request, whatever has become of it. count_record: rows that have
-- landed, kept up to date while it runs. What waits for a person to go on with it, paused, is PENDING; what broke off is
-- FAILED; one that was deleted is left out.
CREATE OR REPLACE VIEW queue_backfill_data
AS
SELECT
    work_id AS id,
    JSONExtractString(asked, 'pipeline') AS pipeline,
    JSONExtractString(asked, 'source') AS source,
    JSONExtractString(asked, 'table_name') AS table_name,
    JSONExtractString(asked, 'filter_sql') AS filter_sql,
    multiIf(
        last_status IN ('accepted', 'paused'), 'PENDING',
        last_status = 'running', 'EXECUTING',
        last_status = 'completed', 'COMPLETED',
        last_status = 'cancelled', 'CANCELLED',
        'FAILED'
    ) AS status,
    landed AS count_record,
    created AS created_at,
    updated AS updated_at
FROM
(
    SELECT
        work_id,
        max(step_asked) AS asked,
        argMaxIf(step_status, step_status_at, step_status != '') AS last_status,
        sum(step_rows) AS landed,
        min(first_at) AS created,
        max(last_at) AS updated
    FROM
    (
        SELECT
            work_id,
            step,
            maxIf(payload, event = 'load_asked') AS step_asked,
            argMaxIf(status, at, status != '') AS step_status,
            maxIf(at, status != '') AS step_status_at,
            argMaxIf(rows, at, event IN ('load_landed', 'step_done')) AS step_rows,
            min(at) AS first_at,
            max(at) AS last_at
        FROM web_analytics_work_events
        WHERE work_id IN (SELECT work_id FROM web_analytics_work_events WHERE kind = 'postgres')
        GROUP BY work_id, step
    )
    GROUP BY work_id
)
WHERE last_status != 'deleted'
