-- What a table holds of a day, by team, row by row, so that what was just written is known at the price of reading it.
-- Grain   one row per team
-- Reads   all columns that are compared, of that day; of all days, where `day_only` is 0, as staging alone can afford
SELECT team_id, count() AS rows, sum(cityHash64($compared)) AS hash
FROM $target
WHERE
    {day_only:UInt8} = 0
    OR (period_bucket >= toDateTime({day:Date}, 'UTC') AND period_bucket < toDateTime({day:Date} + 1, 'UTC'))
GROUP BY team_id
