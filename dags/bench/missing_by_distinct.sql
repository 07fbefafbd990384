-- Which of these teams have no row on which day, asked of the rows themselves. The peer of missing_by_projection.sql;
-- the same answer.
-- Grain   one row per missing (day, team)
-- Reads   every row of the table in the days asked for; the list of what is expected takes one row
SELECT day, team_id
FROM
(
    SELECT
        {start:Date} + arrayJoin(range({days:UInt64})) AS day,
        toUInt64(arrayJoin(range(1, {teams:UInt64} + 1))) AS team_id
) AS expected
LEFT ANTI JOIN
(
    SELECT DISTINCT toDate(period_bucket) AS day, team_id
    FROM $target
    WHERE
        period_bucket >= toDateTime({start:Date}, 'UTC')
        AND period_bucket < toDateTime({start:Date} + {days:UInt64}, 'UTC')
) AS present
    USING (day, team_id)
ORDER BY day, team_id
SETTINGS optimize_use_projections = 0, optimize_use_implicit_projections = 0
