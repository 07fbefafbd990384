-- Teams that another run began to build after an instant, and built, by the logic of now.
-- Grain   one row per team
-- Reads   the ledger's rows of one table's day
SELECT DISTINCT team_id
FROM web_pre_aggregated_builds
WHERE
    table_name = {table:String}
    AND day = {day:Date}
    AND outcome = 'built'
    AND logic_version = {logic_version:UInt32}
    AND started_at >= {since:DateTime64(6, 'UTC')}
    AND run_id != {run_id:String}
