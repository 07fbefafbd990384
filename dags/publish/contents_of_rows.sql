-- What a table holds of a day, by team, row by row, so that what was just written is known at the price of reading it.
-- Grain   one row per team
-- Reads   all columns that are compared, of that day; of all days, where `day_only` is 0, as staging alone can afford
-- A hash that is NULL would equal any other, so it is refused. No column is named like what is named here.
SELECT
    toUInt64(found_team),
    count(),
    sum(found_hash) + sum(throwIf(isNull(found_hash), 'a column that is compared is NULL: report it with this message'))
FROM
(
    SELECT $team AS found_team, cityHash64($compared) AS found_hash
    FROM $target
    WHERE {day_only:UInt8} = 0 OR $day = {day:Date}
)
GROUP BY found_team
