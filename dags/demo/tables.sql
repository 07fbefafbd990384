-- The tables of the database.
-- Grain   one row per table
-- Reads   system.tables
SELECT name FROM system.tables WHERE database = currentDatabase()
