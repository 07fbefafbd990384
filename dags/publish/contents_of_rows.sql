-- What a table holds of a day, by team, row by row, so that what was just written is known at the price of reading it.
-- Grain   one row per team
-- Reads   all columns that are compared, of that day; of all days, where `day_only` is 0, as staging alone can afford
SELECT toUInt64($team) AS team, count() AS rows, sum(cityHash64($compared)) AS hash
FROM $target
WHERE {day_only:UInt8} = 0 OR $day = {day:Date}
GROUP BY $team
