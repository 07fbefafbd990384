-- The parts of some tables, by ClickHouse partition: whether anything has changed, and enough to tell an alteration from an
-- insert, a build and a merge.
-- Grain   one row per table and partition; a table without parts has one, with an empty partition
-- Reads   system.tables and system.parts, no row of any table
-- A part's name ends with the mutation that wrote it, if one did: `<partition>_<first>_<last>_<level>_<mutation>`.
-- A merge changes `contents` and not the data; the days concerned are then read again, which is right.
-- A table whose rows are not in parts of this server (Distributed, a view) is no MergeTree: nothing is told of it.
SELECT
    tables.name AS table_name,
    tables.engine LIKE '%MergeTree' AS is_told,
    tables.partition_key AS partition_key,
    partition_id,
    toString(tables.uuid) AS table_id,
    contents,
    mutation,
    first_block,
    last_block,
    row_count
FROM system.tables AS tables
LEFT JOIN
(
    SELECT
        table,
        partition_id,
        -- Of the contents alone: a DELETE renames the parts that it leaves as they are. A sum, because two parts may
        -- hold the same, and xor would cancel them out.
        sum(cityHash64(hash_of_all_files)) AS contents,
        max(toInt64OrZero(splitByChar('_', name)[5])) AS mutation,
        min(min_block_number) AS first_block,
        max(max_block_number) AS last_block,
        sum(rows) AS row_count
    FROM system.parts
    WHERE active AND database = currentDatabase() AND table IN {tables:Array(String)}
    GROUP BY table, partition_id
) AS parts
    ON parts.table = tables.name
WHERE tables.database = currentDatabase() AND tables.name IN {tables:Array(String)}
SETTINGS join_use_nulls = 0
