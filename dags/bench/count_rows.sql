-- How many rows there are to read.
-- Grain   one row per table
SELECT 'events' AS table_name, count() AS rows FROM events
UNION ALL
SELECT 'web_pre_aggregated_stats', count() FROM web_pre_aggregated_stats
UNION ALL
SELECT 'web_pre_aggregated_bounces', count() FROM web_pre_aggregated_bounces
