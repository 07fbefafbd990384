-- The units that builds of some runs held, and have not built since.
-- Grain   one row per day with such a unit: the day, its teams
-- Reads   the ledger's builds of the table, the days of [start, end)
SELECT day, groupArray(team_id)
FROM
(
    SELECT day, team_id
    FROM web_pre_aggregated_builds
    WHERE
        table_name = {table:String}
        AND day >= {start:Date}
        AND day < {end:Date}
        AND has({run_ids:Array(String)}, run_id)
    GROUP BY day, team_id
    HAVING argMax(outcome, finished_at) = 'held'
)
GROUP BY day
