-- The enabled teams of a table's day that an older logic version built last.
-- Grain   one row per team
-- Reads   the projection `last` of the ledger, one table's day of it
SELECT team_id
FROM web_pre_aggregated_builds
WHERE table_name = {table:String} AND day = {day:Date}
GROUP BY table_name, day, team_id
HAVING
    argMaxIf(logic_version, finished_at, outcome = 'built') BETWEEN 1 AND {logic_version:UInt32} - 1
ORDER BY team_id
