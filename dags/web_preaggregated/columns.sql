-- The columns of a table that rows can be inserted into.
-- Grain   one row per column, in the table's order
-- Reads   system.columns, that table's
SELECT name, type, is_in_sorting_key
FROM system.columns
WHERE database = currentDatabase() AND table = {table:String} AND default_kind IN ('', 'DEFAULT')
ORDER BY position
