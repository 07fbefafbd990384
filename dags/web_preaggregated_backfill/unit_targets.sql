-- What a table holds of some units of a day.
-- Grain   one row per team with rows on the day
-- Reads   those teams' rows of the day
SELECT $team AS team, toUInt64($distinct) AS distinct_things, toUInt64($total) AS total
FROM $target
WHERE $day = {day:Date} AND team IN {teams:Array(UInt64)}
GROUP BY team
