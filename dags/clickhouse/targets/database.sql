-- What the database is, and whether a schema was ever applied to it.
-- Grain   one row
SELECT
    engine,
    (
        SELECT count()
        FROM system.tables
        WHERE database = currentDatabase() AND name = 'web_analytics_schema_version'
    ) > 0 AS has_schema
FROM system.databases
WHERE name = currentDatabase()
