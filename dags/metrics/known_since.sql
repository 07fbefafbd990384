-- Since when events of gaps are recorded, since when with what closed them, and since when ClickHouse has a log of
-- statements: 1970 where it has none, or none that this user sees.
-- Grain   one row
-- Reads   the record of the schema, and system.parts of the log
SELECT
    (SELECT min(applied_at) FROM web_analytics_schema_version WHERE endsWith(name, '_web_analytics_gaps')),
    (SELECT min(applied_at) FROM web_analytics_schema_version WHERE endsWith(name, '_web_analytics_gaps_closed_by')),
    (SELECT min(min_date) FROM system.parts WHERE database = 'system' AND table = 'query_log' AND active)
