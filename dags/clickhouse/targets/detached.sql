-- Which of some tables are there and out of everybody's sight, for somebody detached them.
-- Grain   one row per table of them that is detached, a view or a dictionary too
-- Reads   system.detached_tables
SELECT table
FROM system.detached_tables
WHERE database = currentDatabase() AND table IN {tables:Array(String)}
