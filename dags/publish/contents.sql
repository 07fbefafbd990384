-- What a table holds of a day, by team, so that two tables can be compared whatever merges did to their rows.
-- Grain   one row per team; `strays` are rows that lie outside the day
-- Reads   all columns that both tables have, of that day; of all days, where `day_only` is 0, as staging alone can afford
SELECT toUInt64(team), sum(rows), count() AS keys, sum(hash), sum(strays)
FROM
(
    SELECT
        $team AS team,
        count() AS rows,
        cityHash64($compared) AS hash,
        countIf($day != {day:Date}) AS strays
    FROM $target
    WHERE {day_only:UInt8} = 0 OR $day = {day:Date}
    GROUP BY $key
)
GROUP BY team
