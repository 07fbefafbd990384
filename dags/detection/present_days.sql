-- The days of which a table has rows.
-- Grain   one row per day
-- Reads   the coverage projection of the table, since the partitions' start
SELECT toDate(day) AS present, sum(rows)
FROM
(
    SELECT $day AS day, $team AS team, count() AS rows
    FROM $target
    WHERE $day >= {start:Date} AND $day < {end:Date}
    GROUP BY day, team
)
GROUP BY present
ORDER BY present
SETTINGS optimize_time_filter_with_preimage = 0
