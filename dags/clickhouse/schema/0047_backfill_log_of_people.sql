-- The audit of backfills, builds that a person launched among them: those of all work, a day a step. rows_affected: of a
-- managed backfill the rows of the days that it published, each day as it was left; of an automatic and a manual build
-- those of the teams that it rebuilt. completed_at is NULL while the backfill is not over, and while it is rolled back.
CREATE OR REPLACE VIEW backfill_log
AS
SELECT
    work_id AS backfill_id,
    subject AS table_name,
    toDateOrZero(first_step) AS start_date,
    toDateOrZero(last_step) AS end_date,
    status,
    rows AS rows_affected,
    started_at,
    completed_at,
    kind AS origin,
    requested_by,
    reason,
    run_id
FROM web_analytics_work_log
WHERE kind IN ('managed', 'automatic', 'manual')
