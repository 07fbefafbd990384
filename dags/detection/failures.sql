-- The last failed build of each unit of some tables: the reason of a gap that it left.
-- Grain   one row per table, day and team with a failed build; team 0 stands for all teams of a day
-- Reads   the stretches of the ledger in which something failed, by its index `outcomes`
SELECT
    table_name,
    day,
    team_id,
    max(finished_at) AS failed_at,
    argMax(run_id, finished_at) AS run_id,
    argMax(substringUTF8(error, 1, 300), finished_at) AS error
FROM web_pre_aggregated_builds
WHERE
    table_name IN {tables:Array(String)}
    AND day >= {start:Date}
    AND day < {end:Date}
    AND outcome = 'failed'
GROUP BY table_name, day, team_id
