-- What ClickHouse remembers of a table's day right after a swap, the parts of the staging that were swapped in, and what
-- of the table's other days has taken a number since the last look.
-- Grain   one row: of the table, whose uuid tells whether it is still the one that was looked at; and one row per part:
-- which of the three it is
-- Reads   system.parts, of that table and of its staging; system.tables
SELECT 'table' AS what, (toString(uuid), false, 0, 0, 0, 0, 0, '') AS part
FROM system.tables
WHERE database = currentDatabase() AND name = {table:String}
UNION ALL
SELECT
    multiIf(
        table = {staging:String},
        'staged',
        partition_id = {partition:String}
        OR (startsWith(partition_id, 'patch-') AND endsWith(partition_id, concat('-', {partition:String}))),
        'day',
        'other'
    ) AS what,
    (
        name, active, rows, min_block_number, max_block_number, level, data_version, hash_of_all_files
    ) AS part
FROM system.parts
WHERE
    database = currentDatabase()
    AND table IN ({table:String}, {staging:String})
    AND (what != 'other' OR max_block_number > {highest:Int64} OR data_version > {highest:Int64})
