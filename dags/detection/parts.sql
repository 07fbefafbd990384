-- The parts of some tables, by ClickHouse partition: enough to tell an alteration from an insert, a build and a merge.
-- Grain   one row per table and partition
-- Reads   system.parts and system.tables, no row of any table
-- A part's name ends with the mutation that wrote it, if one did: `<partition>_<first>_<last>_<level>_<mutation>`.
-- A table whose rows are not in parts of this server has none: nothing is told of it.
SELECT
    table,
    any(tables.partition_key) AS partition_key,
    partition_id,
    any(toString(tables.uuid)) AS table_id,
    sum(cityHash64(hash_of_all_files)) AS contents,
    max(toInt64OrZero(splitByChar('_', parts.name)[5])) AS mutation,
    min(min_block_number) AS first_block,
    max(max_block_number) AS last_block,
    sum(rows) AS row_count
FROM system.parts AS parts
INNER JOIN system.tables AS tables ON tables.database = parts.database AND tables.name = parts.table
WHERE active AND database = currentDatabase() AND table IN {tables:Array(String)}
GROUP BY table, partition_id
