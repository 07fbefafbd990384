-- Builds of a table's days that others made: what a restore of an older state would take back.
-- Grain   one row per (day, team): when it was built last, and by which run
-- Reads   the ledger's builds of the table, the days of [start, end)
SELECT day, team_id, max(finished_at), argMax(run_id, finished_at)
FROM web_pre_aggregated_builds
WHERE
    table_name = {table:String}
    AND day >= {start:Date}
    AND day < {end:Date}
    AND outcome IN ('built', 'empty')
    AND NOT has({run_ids:Array(String)}, run_id)
GROUP BY day, team_id
