-- Which of these teams have no row on which day, asked of the table's projection by day and team. Presence alone.
-- Grain   one row per missing (day, team)
-- Reads   the coverage projection of the table; the list of what is expected takes one row
SELECT day, team_id
FROM
(
    SELECT
        {start:Date} + arrayJoin(range({days:UInt64})) AS day,
        toUInt64(arrayJoin(range(1, {teams:UInt64} + 1))) AS team_id
) AS expected
LEFT ANTI JOIN
(
    SELECT toDate(period_bucket) AS day, team_id
    FROM $target
    WHERE toDate(period_bucket) >= {start:Date} AND toDate(period_bucket) < {start:Date} + {days:UInt64}
    GROUP BY day, team_id
) AS present
    USING (day, team_id)
ORDER BY day, team_id
SETTINGS optimize_time_filter_with_preimage = 0
