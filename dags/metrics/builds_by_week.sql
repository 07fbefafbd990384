-- How builds ended, by table and week, the oldest week first.
-- Grain   one row per table and week in which one ended
-- Reads   the ledger from a Monday on
SELECT week, table_name, succeeded, failed, held
FROM web_analytics_builds_by_week
WHERE week >= {since:Date}
ORDER BY week, table_name
