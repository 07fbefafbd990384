-- As target_units.sql, where only some teams are built: the distinct are counted of these alone. All others stay the
-- bytes they are; of them the totals tell whether rows are missing, for each row counts something, and every `distinct`
-- is 0.
-- Grain   one row per team
-- Reads   what counts, of the named teams' rows; of the others' the coverage projection where the table has one. Of all
--         days, where `day_only` is 0
SELECT
    toUInt64($team) AS team,
    count() AS rows,
    toUInt64($distinct) AS distinct,
    toUInt64($total) AS total,
    countIf($day != {day:Date}) AS strays
FROM $target
WHERE ({day_only:UInt8} = 0 OR $day = {day:Date}) AND $team IN {teams:Array(UInt64)}
GROUP BY $team
UNION ALL
SELECT team, sum(rows_of_day), 0, sum(total_of_day), sumIf(rows_of_day, its_day != {day:Date})
FROM
(
    SELECT $day AS its_day, toUInt64($team) AS team, count() AS rows_of_day, toUInt64($total) AS total_of_day
    FROM $target
    WHERE ({day_only:UInt8} = 0 OR $day = {day:Date}) AND $team NOT IN {teams:Array(UInt64)}
    GROUP BY $day, $team
)
GROUP BY team
SETTINGS optimize_time_filter_with_preimage = 0
