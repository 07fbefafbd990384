-- Builds of a table's days that others made: what a restore of an older state would take back.
-- Grain   one row per (day, team) that others built: when last, and in which run; when these runs built it last, 1970 if
--         they never did
-- Reads   the ledger's builds of the table, the days of [start, end)
SELECT
    day,
    team_id,
    maxIf(finished_at, NOT has({run_ids:Array(String)}, run_id)) AS others_at,
    argMaxIf(run_id, finished_at, NOT has({run_ids:Array(String)}, run_id)) AS others_run_id,
    maxIf(finished_at, has({run_ids:Array(String)}, run_id)) AS own_at
FROM web_pre_aggregated_builds
WHERE
    table_name = {table:String}
    AND day >= {start:Date}
    AND day < {end:Date}
    AND outcome IN ('built', 'empty')
GROUP BY day, team_id
HAVING others_run_id != ''
