-- How builds ended and what they took, by table and week, as builds_of_late.sql says it, in a third of its time: read as if
-- each run had built each unit once. Weeks of which that is not so are told.
-- Grain   one row per table and week in which one ended, or a step failed
-- Reads   the ledger from a Monday on, once, and the events of steps that failed
-- is_inexact: a run has built a unit again, of which the last counts; or a step failed, and the ledger may not know of it
SELECT
    week,
    table_name,
    countIf(outcome = 'built'),
    countIf(outcome = 'failed'),
    countIf(outcome = 'held'),
    sum(dateDiff('millisecond', first_at, last_at)) / 1000,
    sum(source_rows),
    countIf(outcome = 'built' AND last_at >= {lately:DateTime64(6, 'UTC')}),
    countIf(outcome = 'failed' AND last_at >= {lately:DateTime64(6, 'UTC')}),
    countIf(outcome = 'held' AND last_at >= {lately:DateTime64(6, 'UTC')}),
    maxOrNullIf(last_at, outcome = 'failed' AND last_at >= {lately:DateTime64(6, 'UTC')}),
    argMaxIf(error_of_last, last_at, outcome = 'failed' AND last_at >= {lately:DateTime64(6, 'UTC')}),
    max(is_inexact)
FROM
(
    SELECT
        toMonday(finished_at) AS week,
        toString(table_name) AS table_name,
        multiIf(
            countIf(builds.outcome = 'failed' AND team_id != 0) > 0
                OR maxIf(finished_at, builds.outcome = 'failed' AND team_id = 0) > maxIf(finished_at, team_id != 0), 'failed',
            countIf(builds.outcome IN ('built', 'empty')) > 0, 'built',
            countIf(builds.outcome = 'held') > 0, 'held',
            'skipped'
        ) AS outcome,
        sum(source_events) AS source_rows,
        argMaxIf(error, finished_at, builds.outcome = 'failed') AS error_of_last,
        min(started_at) AS first_at,
        max(finished_at) AS last_at,
        uniqExact(team_id) != count() AS is_inexact
    FROM web_pre_aggregated_builds AS builds
    WHERE builds.outcome != 'verified' AND finished_at >= {since:Date}
    GROUP BY week, run_id, table_name, day
    UNION ALL
    SELECT toMonday(server_at), toString(table_name), '', 0, '', server_at, server_at, true
    FROM web_analytics_backfill_events
    WHERE
        event IN ('step_failed', 'day_failed')
        AND origin IN ('managed', 'automatic', 'manual')
        AND server_at >= {since:Date}
)
GROUP BY week, table_name
ORDER BY week, table_name
