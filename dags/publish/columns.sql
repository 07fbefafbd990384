-- The columns of a table that rows can be inserted into, and which of them tell its rows apart: those of the sorting
-- key, and where the engine merges no rows, all of them.
-- Grain   one row per column, in the table's order
-- Reads   system.columns and system.tables, that table's
WITH
    (
        SELECT any(engine)
        FROM system.tables
        WHERE database = currentDatabase() AND name = {table:String}
    ) AS engine
SELECT name, type, is_in_sorting_key OR engine IN ('MergeTree', 'ReplicatedMergeTree', 'SharedMergeTree')
FROM system.columns
WHERE database = currentDatabase() AND table = {table:String} AND default_kind IN ('', 'DEFAULT')
ORDER BY position
