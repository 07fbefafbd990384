-- What the database is.
-- Grain   one row
SELECT engine FROM system.databases WHERE name = currentDatabase()
