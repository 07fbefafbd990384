-- What ClickHouse remembers of a table's day right after a swap, and the parts of the staging that were swapped in.
-- Grain   one row per part; the uuid of the table, which tells whether it is still the one that was looked at
-- Reads   system.parts, of that table and of its staging; system.tables
SELECT
    table = {staging:String} AS is_staged,
    (
        name, active, rows, min_block_number, max_block_number, level, data_version, hash_of_all_files
    ) AS part,
    (SELECT toString(any(uuid)) FROM system.tables WHERE database = currentDatabase() AND name = {table:String}) AS uuid
FROM system.parts
WHERE database = currentDatabase() AND table IN ({table:String}, {staging:String}) AND partition_id = {partition:String}
