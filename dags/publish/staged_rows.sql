-- How many rows a staging table has.
-- Grain   one row
-- Reads   system.parts, of that table
SELECT sum(rows)
FROM system.parts
WHERE database = currentDatabase() AND table = {table:String} AND active
