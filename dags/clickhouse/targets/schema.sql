-- What the database is, and which versions of the schema were applied to it; an error where none ever was.
-- Grain   one row
SELECT
    (SELECT engine FROM system.databases WHERE name = currentDatabase()) AS engine,
    count() AS versions,
    max(version) AS newest
FROM web_analytics_schema_version
