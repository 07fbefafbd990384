-- The success rate of builds, by table and week, for dashboards.
-- Grain   one row per table and week in which a build of it ended
-- success_rate: of the builds that succeeded or failed, from 0 to 1; NULL where there was none of them. What was held or
-- skipped is neither: it did what it should.
-- seconds: from the lease to the ledger, of each build
-- Reads   the ledger, as far as `week` is narrowed down
CREATE OR REPLACE VIEW web_analytics_builds_by_week
AS
SELECT
    week,
    table_name,
    count() AS builds,
    countIf(outcome = 'built') AS succeeded,
    countIf(outcome = 'failed') AS failed,
    countIf(outcome = 'held') AS held,
    countIf(outcome = 'skipped') AS skipped,
    succeeded / nullIf(succeeded + failed, 0) AS success_rate,
    sum(built_units) AS built_units,
    sum(failed_units) AS failed_units,
    sum(held_units) AS held_units,
    sum(builds.source_rows) AS source_rows,
    sum(dateDiff('millisecond', started_at, finished_at)) / 1000 AS seconds
FROM web_analytics_builds AS builds
GROUP BY week, table_name
