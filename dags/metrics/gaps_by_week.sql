-- Gaps that opened and closed, by table and week, the oldest week first.
-- Grain   one row per table and week in which one did
-- Reads   as web_analytics_gap_log
SELECT week, table_name, opened, closed, median_hours, p90_hours
FROM web_analytics_gaps_by_week
WHERE week >= {since:Date}
ORDER BY week, table_name
