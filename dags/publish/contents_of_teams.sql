-- What a table, or a staging of it, holds of a day of some teams, so that the two can be compared whatever merges did to
-- their rows.
-- Grain   one row per team that has any
-- Reads   all columns that are compared, of that day of these teams
-- A hash that is NULL would equal any other, so it is refused. No column is named like what is named here.
SELECT
    toUInt64(found_team),
    count(),
    sum(found_hash) + sum(throwIf(isNull(found_hash), 'a column that is compared is NULL: report it with this message'))
FROM
(
    SELECT $team AS found_team, cityHash64($compared) AS found_hash
    FROM $target
    WHERE $day = {day:Date} AND $team IN {teams:Array(UInt64)}
    GROUP BY $key
)
GROUP BY found_team
