-- Every build of a table's day by a run, and how it ended, for dashboards.
-- Grain   one row per run, table, day and week: a run that has built the day again after a failure has built it once, as
--         it left each unit. What goes on past the end of a week counts in both, as each of them left it.
-- week    the Monday of the ISO week in UTC, by ClickHouse's clock at the end of the build
-- outcome built: every unit that it published is as its source, or was found empty; failed: a unit failed, or the run
--         died before the ledger heard of it; held: nothing failed and nothing was built, for each unit would have lost
--         half of what it has, and waits for a person; skipped: another run built it meanwhile, or it was out of reach
-- source_rows: those of the day and its neighbours that its units were built from. error: of one that failed, why one of
-- its units did, or the run
-- Reads   the ledger, as far as `week` is narrowed down; a filter of `finished_at` alone reads all of it
CREATE OR REPLACE VIEW web_analytics_builds
AS
SELECT
    week,
    run_id,
    table_name,
    day,
    multiIf(
        failed_units > 0 OR all_failed_at > units_finished_at, 'failed',
        built_units > 0, 'built',
        held_units > 0, 'held',
        'skipped'
    ) AS outcome,
    built_units,
    failed_units,
    held_units,
    skipped_units,
    source_rows,
    if(outcome = 'failed', last_error, '') AS error,
    started_at,
    finished_at
FROM
(
    SELECT
        week,
        run_id,
        table_name,
        day,
        countIf(last_outcome IN ('built', 'empty')) AS built_units,
        countIf(last_outcome = 'failed' AND team_id != 0) AS failed_units,
        countIf(last_outcome = 'held') AS held_units,
        countIf(last_outcome = 'skipped') AS skipped_units,
        -- Releases before 0.4.0 wrote one row for all teams of a day whose build failed; one that came later undoes it.
        maxIf(last_at, last_outcome = 'failed' AND team_id = 0) AS all_failed_at,
        maxIf(last_at, team_id != 0) AS units_finished_at,
        sum(last_source_rows) AS source_rows,
        argMaxIf(error_of_last, last_at, last_outcome = 'failed') AS last_error,
        min(first_at) AS started_at,
        max(last_at) AS finished_at
    FROM
    (
        SELECT
            toMonday(builds.finished_at) AS week,
            run_id,
            toString(table_name) AS table_name,
            day,
            team_id,
            argMax(outcome, builds.finished_at) AS last_outcome,
            argMax(source_events, builds.finished_at) AS last_source_rows,
            argMax(builds.error, builds.finished_at) AS error_of_last,
            min(builds.started_at) AS first_at,
            max(builds.finished_at) AS last_at
        FROM web_pre_aggregated_builds AS builds
        WHERE outcome != 'verified'
        GROUP BY week, run_id, table_name, day, team_id
    )
    GROUP BY week, run_id, table_name, day
)
UNION ALL
SELECT
    toMonday(max(server_at)) AS week,
    run_id,
    toString(subject) AS table_name,
    toDateOrZero(step) AS day,
    'failed' AS outcome,
    0 AS built_units,
    0 AS failed_units,
    0 AS held_units,
    0 AS skipped_units,
    0 AS source_rows,
    argMax(payload, server_at) AS error,
    min(server_at) AS started_at,
    max(server_at) AS finished_at
FROM web_analytics_work_events
WHERE event = 'step_failed' AND kind IN ('managed', 'automatic', 'manual') AND (run_id, subject, toDateOrZero(step)) NOT IN
(
    SELECT run_id, table_name, day
    FROM web_pre_aggregated_builds
    WHERE outcome != 'verified' AND run_id IN (SELECT run_id FROM web_analytics_work_events WHERE event = 'step_failed')
)
GROUP BY run_id, subject, step
