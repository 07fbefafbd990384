-- The last build or verification of each unit of a table's day.
-- Grain   one row per team that was ever built or verified
-- Reads   the projection `last` of the ledger, one table's day of it
SELECT team_id, last.4 AS sessions, last.5 AS pageviews, last.6 AS is_verified, last.7 AS finished_at
FROM
(
    SELECT
        team_id,
        argMaxIf(
            tuple(
                source_events, source_qualifying, source_newest, sessions, pageviews, outcome = 'verified', finished_at
            ),
            finished_at,
            outcome IN ('built', 'empty', 'verified')
        ) AS last
    FROM web_pre_aggregated_builds
    WHERE table_name = {table:String} AND day = {day:Date}
    GROUP BY table_name, day, team_id
)
WHERE finished_at > toDateTime64(0, 6, 'UTC')
