-- How long builds have taken for what they read: the seconds and the source rows of the last builds of some tables.
-- Grain   one row per table that was built
-- Reads   the ledger's builds of the tables, the days of [start, end)
SELECT table_name, toFloat64(sum(seconds)), toUInt64(sum(events))
FROM
(
    SELECT
        table_name,
        dateDiff('millisecond', min(started_at), max(finished_at)) / 1000 AS seconds,
        sum(source_events) AS events
    FROM web_pre_aggregated_builds
    WHERE table_name IN {tables:Array(String)} AND day >= {start:Date} AND day < {end:Date} AND outcome = 'built'
    GROUP BY table_name, run_id, day
)
GROUP BY table_name
