-- Which of some tables, views and dictionaries there are.
-- Grain   one row per name
-- Reads   system.tables
SELECT name
FROM system.tables
WHERE database = currentDatabase() AND name IN {tables:Array(String)}
