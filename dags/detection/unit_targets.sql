-- What a table holds of some units, named by two arrays of equal length.
-- Grain   one row per unit with rows
-- Reads   those teams' rows of those days
SELECT
    toDate($day) AS unit_day,
    toUInt64($team) AS team_id,
    toUInt64($distinct) AS distinct_things,
    toUInt64($total) AS total
FROM $target
WHERE
    $day IN {days:Array(Date)}
    AND $team IN {teams:Array(UInt64)}
    AND (toDate($day), toUInt64($team)) IN arrayZip({days:Array(Date)}, {teams:Array(UInt64)})
GROUP BY unit_day, team_id
