-- From when to when a table has rows of the enabled teams: a day in between is a hole that readers take for zeros.
-- Grain   one row per team with rows in the window
-- Reads   the coverage projection of the table, the days of [start, end)
SELECT $team AS team, toDate(min(day)) AS first, toDate(max(day)) AS last
FROM
(
    SELECT $day AS day, $team, count() AS rows
    FROM $target
    WHERE $day >= {start:Date} AND $day < {end:Date}
    GROUP BY day, $team
)
WHERE team IN (SELECT team_id FROM web_pre_aggregated_teams FINAL WHERE is_enabled = 1)
GROUP BY team
SETTINGS optimize_time_filter_with_preimage = 0
