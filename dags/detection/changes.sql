-- Whether anything in a table has changed, by ClickHouse partition: the state of its parts, as one number.
-- Grain   one row per table and partition; a table without parts has one, with an empty partition
-- Reads   system.tables and system.parts, no row of any table
-- A merge changes the number and not the data; the days concerned are then read again, which is right.
-- A table whose rows are not in parts of this server (Distributed, a view) is no MergeTree: nothing is told of it.
SELECT
    tables.name AS table_name,
    tables.engine LIKE '%MergeTree' AS is_told,
    tables.partition_key AS partition_key,
    partition_id,
    -- Of the contents alone: a DELETE renames the parts that it leaves as they are. A sum, because two parts may hold
    -- the same, and xor would cancel them out.
    sum(cityHash64(hash_of_all_files)) AS state
FROM system.tables AS tables
LEFT JOIN
(
    SELECT table, partition_id, hash_of_all_files
    FROM system.parts
    WHERE active AND database = currentDatabase() AND table IN {tables:Array(String)}
) AS parts
    ON parts.table = tables.name
WHERE tables.database = currentDatabase() AND tables.name IN {tables:Array(String)}
GROUP BY table_name, is_told, partition_key, partition_id
SETTINGS join_use_nulls = 0
