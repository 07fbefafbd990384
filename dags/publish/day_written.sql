-- How far a table's day was written, as written.sql, of its own parts alone.
-- Grain   one row: of the table, whose uuid tells it from another that was put in its place; and of each part that
-- ClickHouse remembers of the day
-- Reads   system.parts and system.tables, that table's
SELECT toString(uuid) AS of_table, '' AS part, false AS is_read, 0 AS first_block, 0 AS last_block, 0 AS version
FROM system.tables
WHERE database = currentDatabase() AND name = {table:String}
UNION ALL
SELECT '', name, active AND rows > 0, min_block_number, max_block_number, toInt64(data_version)
FROM system.parts
WHERE
    database = currentDatabase()
    AND table = {table:String}
    AND (
        partition_id = {partition:String}
        OR (startsWith(partition_id, 'patch-') AND endsWith(partition_id, concat('-', {partition:String})))
    )
