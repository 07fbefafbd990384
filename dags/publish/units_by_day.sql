-- What a table holds of some days, by team: rows, and what counts, the table's own total or what its source expects.
-- Grain   one row per (day, team) with rows
-- Reads   the coverage projection of the table, the days of [start, end)
SELECT toDate(day), toUInt64(team), rows, toUInt64(counted)
FROM
(
    SELECT $day AS day, $team AS team, count() AS rows, $counted AS counted
    FROM $table
    WHERE $day >= {start:Date} AND $day < {end:Date}
    GROUP BY day, team
)
SETTINGS optimize_time_filter_with_preimage = 0
