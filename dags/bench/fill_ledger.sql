-- What the builds of a day of one table would have recorded: the source as it is, and what the table holds. Of the units
-- that the fill left out half were never built and have no line; the others were, and have lost their rows since.
-- Reads   the coverage projections of events, three days, and of the table
-- Sessions are page views here: nothing reads them of a unit that is complete, but that they are not 0.
INSERT INTO web_pre_aggregated_builds
(
    table_name, day, team_id, run_id, logic_version, outcome, source_events, source_qualifying, source_newest,
    sessions, pageviews, error, started_at, finished_at
)
WITH
    source AS
    (
        SELECT
            team_id,
            count() AS source_events,
            sum(qualifies) AS source_qualifying,
            max(inserted_at) AS source_newest
        FROM events
        WHERE toDate(timestamp) >= {day:Date} - 1 AND toDate(timestamp) <= {day:Date} + 1
        GROUP BY team_id
    ),
    present AS
    (
        SELECT toDate(period_bucket) AS day, team_id, sumMerge(pageviews_count_state) AS pageviews
        FROM $target
        WHERE toDate(period_bucket) = {day:Date}
        GROUP BY day, team_id
    )
SELECT
    {table:String} AS table_name,
    {day:Date} AS day,
    team_id,
    'bench' AS run_id,
    1 AS logic_version,
    'built' AS outcome,
    source_events,
    source_qualifying,
    source_newest,
    greatest(pageviews, 1) AS sessions,
    greatest(pageviews, 1) AS pageviews,
    '' AS error,
    toDateTime64({day:Date} + 2, 6, 'UTC') AS started_at,
    toDateTime64({day:Date} + 2, 6, 'UTC') + 60 AS finished_at
FROM source
LEFT JOIN present USING (team_id)
WHERE
    present.pageviews > 0
    OR intDiv(cityHash64({table:String}, {day:Date}, team_id), {one_in:UInt64}) % 2 = 0
SETTINGS optimize_time_filter_with_preimage = 0, join_use_nulls = 0
