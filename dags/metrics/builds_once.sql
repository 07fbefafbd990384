-- The builds of the last weeks and how they ended, as the view of builds says it, in a third of its time: read as if each
-- run had built each unit once. Builds of which that is not so are told.
-- Grain   one row per build, a run's of a table's day in a week; and one per week in which a step failed, without a table
-- Reads   the ledger from a Monday on, once, and the events of steps that failed
-- is_inexact: a run has built a unit again, of which the last counts; or a step failed, and the ledger may not know of it
SELECT
    toMonday(finished_at) AS week,
    toString(table_name),
    multiIf(
        countIf(outcome = 'failed' AND team_id != 0) > 0
            OR maxIf(finished_at, outcome = 'failed' AND team_id = 0) > maxIf(finished_at, team_id != 0), 'failed',
        countIf(outcome IN ('built', 'empty')) > 0, 'built',
        countIf(outcome = 'held') > 0, 'held',
        'skipped'
    ),
    sum(source_events),
    argMaxIf(error, finished_at, outcome = 'failed'),
    min(started_at),
    max(finished_at),
    uniqExact(team_id) != count() AS is_inexact
FROM web_pre_aggregated_builds
WHERE outcome != 'verified' AND finished_at >= {since:Date}
GROUP BY week, run_id, table_name, day
UNION ALL
SELECT toMonday(server_at) AS week, '', '', 0, '', min(server_at), max(server_at), true
FROM web_analytics_backfill_events
WHERE
    event IN ('step_failed', 'day_failed')
    AND origin IN ('managed', 'automatic', 'manual')
    AND server_at >= {since:Date}
GROUP BY week
