-- Which of these teams have no row on which day, asked of a projection with one bitmap of teams a day. The same answer
-- as missing_by_projection.sql.
-- Grain   one row per missing (day, team)
-- Reads   the projection bench_bitmap of the table; the list of what is expected takes one row
SELECT
    day,
    arrayJoin(bitmapToArray(bitmapAndnot(bitmapBuild(range(1, {teams:UInt64} + 1)), present.teams))) AS team_id
FROM
(
    SELECT {start:Date} + arrayJoin(range({days:UInt64})) AS day
) AS expected
LEFT JOIN
(
    SELECT toDate(period_bucket) AS day, groupBitmapState(team_id) AS teams
    FROM $target
    WHERE toDate(period_bucket) >= {start:Date} AND toDate(period_bucket) < {start:Date} + {days:UInt64}
    GROUP BY day
) AS present
    USING (day)
ORDER BY day, team_id
SETTINGS optimize_time_filter_with_preimage = 0, join_use_nulls = 0
