-- The last failed build of each day of a table: the reason of a gap that it left.
-- Grain   one row per day with a failed build
-- Reads   the ledger's rows that stand for a whole day (team 0), which failures alone have
SELECT day, max(finished_at) AS failed_at, argMax(run_id, finished_at) AS run_id, argMax(error, finished_at) AS error
FROM web_pre_aggregated_builds
WHERE
    table_name = {table:String}
    AND day >= {start:Date}
    AND day < {end:Date}
    AND team_id = 0
    AND outcome = 'failed'
GROUP BY day
