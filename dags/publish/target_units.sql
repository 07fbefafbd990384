-- What a table, or its staging, holds of a day, by team. A row outside the day counts in `strays` of its team.
-- Grain   one row per team
-- Reads   what counts, of that table's day; of all days, where `day_only` is 0, which staging alone can afford
SELECT
    toUInt64($team) AS team,
    count() AS rows,
    toUInt64($distinct) AS distinct,
    toUInt64($total) AS total,
    countIf($day != {day:Date}) AS strays
FROM $target
WHERE {day_only:UInt8} = 0 OR $day = {day:Date}
GROUP BY $team
