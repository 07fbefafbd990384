-- What a table holds of a day, by team, so that two tables can be compared whatever merges did to their rows.
-- Grain   one row per team; the last are rows that lie outside the day
-- Reads   all columns that both tables have, of that day; of all days, where `day_only` is 0, as staging alone can afford
-- A hash that is NULL would equal any other, so it is refused. No column is named like what is named here.
SELECT
    toUInt64(found_team),
    sum(found_rows),
    count(),
    sum(found_hash) + sum(throwIf(isNull(found_hash), 'a column that is compared is NULL: report it with this message')),
    sum(found_strays)
FROM
(
    SELECT
        $team AS found_team,
        count() AS found_rows,
        cityHash64($compared) AS found_hash,
        countIf($day != {day:Date}) AS found_strays
    FROM $target
    WHERE {day_only:UInt8} = 0 OR $day = {day:Date}
    GROUP BY $key
)
GROUP BY found_team
