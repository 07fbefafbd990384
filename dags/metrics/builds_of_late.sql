-- How builds ended and what they took, by table and week; of those since an instant in these weeks, how they ended, and
-- when and why the last of them that failed did.
-- Grain   one row per table and week in which one ended
-- Reads   the ledger of these weeks, and the events of steps that failed
SELECT
    week,
    table_name,
    countIf(outcome = 'built'),
    countIf(outcome = 'failed'),
    countIf(outcome = 'held'),
    sum(dateDiff('millisecond', started_at, finished_at)) / 1000,
    sum(source_rows),
    countIf(outcome = 'built' AND finished_at >= {lately:DateTime64(6, 'UTC')}),
    countIf(outcome = 'failed' AND finished_at >= {lately:DateTime64(6, 'UTC')}),
    countIf(outcome = 'held' AND finished_at >= {lately:DateTime64(6, 'UTC')}),
    maxOrNullIf(finished_at, outcome = 'failed' AND finished_at >= {lately:DateTime64(6, 'UTC')}),
    argMaxIf(error, finished_at, outcome = 'failed' AND finished_at >= {lately:DateTime64(6, 'UTC')})
FROM web_analytics_builds
WHERE week IN {weeks:Array(Date)}
GROUP BY week, table_name
ORDER BY week, table_name
