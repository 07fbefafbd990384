-- What the source holds of some days, by team: rows, and those that make a unit expected.
-- Grain   one row per (day, team) with rows
-- Reads   the coverage projection of the source, the days of [start, end)
SELECT toDate(day), toUInt64(team), rows, toUInt64(expected)
FROM
(
    SELECT $source_day AS day, $source_team AS team, count() AS rows, $expected AS expected
    FROM $source
    WHERE $source_day >= {start:Date} AND $source_day < {end:Date}
    GROUP BY day, team
)
SETTINGS optimize_time_filter_with_preimage = 0
