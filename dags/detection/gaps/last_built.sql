-- When the last build that succeeded ended, of some days of tables.
-- Grain   one row per table and day that was ever built
-- Reads   the ledger of these days
SELECT toString(table_name), day, max(finished_at)
FROM web_pre_aggregated_builds
WHERE table_name IN {tables:Array(String)} AND day IN {days:Array(Date)} AND outcome IN ('built', 'empty')
GROUP BY table_name, day
