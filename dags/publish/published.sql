-- What a backfill's own runs published of a table's day last, by team.
-- Grain   one row per team: sessions and page views
-- Reads   the ledger's rows of that day
SELECT team_id, argMax(sessions, finished_at), argMax(pageviews, finished_at)
FROM web_pre_aggregated_builds
WHERE
    table_name = {table:String}
    AND day = {day:Date}
    AND outcome IN ('built', 'empty')
    AND has({run_ids:Array(String)}, run_id)
GROUP BY team_id
