-- What a watched table holds of each (team, day), as a part of suspects.sql.
-- Grain   one row per (day, team) with rows
-- Reads   the coverage projection of the table, the days of [start, end)
SELECT
    toUInt8(indexOf({tables:Array(String)}, '$target')) AS table_number,
    toDate(day) AS unit_day,
    toUInt64(team) AS team_id,
    rows,
    toUInt64(total) AS target_total
FROM
(
    SELECT $day AS day, $team AS team, count() AS rows, $total AS total
    FROM $target
    WHERE $day >= {start:Date} AND $day < {end:Date}
    GROUP BY day, team
)
WHERE team_id IN enabled
