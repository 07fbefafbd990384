-- How long builds have taken for what they read: the seconds and the source rows of the last builds of a table.
-- Grain   one row
-- Reads   the ledger's builds of the table, the days of [start, end)
SELECT toFloat64(sum(seconds)), toUInt64(sum(events))
FROM
(
    SELECT
        dateDiff('millisecond', min(started_at), max(finished_at)) / 1000 AS seconds,
        sum(source_events) AS events
    FROM web_pre_aggregated_builds
    WHERE table_name = {table:String} AND day >= {start:Date} AND day < {end:Date} AND outcome = 'built'
    GROUP BY run_id, day
)
