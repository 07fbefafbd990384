-- Parts that were swapped away with a table's old day though the build had not seen them: written after its last look,
-- and older than what it swapped in. What itself swapped in and swapped in again is known by its staging's hashes.
-- Grain   one row: how many parts, and their rows
-- Reads   system.parts, of that table and of its staging
WITH
    (
        SELECT min(min_block_number)
        FROM system.parts
        WHERE
            database = currentDatabase()
            AND table = {table:String}
            AND partition_id = {partition:String}
            AND active
            AND rows > 0
    ) AS swapped_in
SELECT count(), sum(rows)
FROM system.parts
WHERE
    database = currentDatabase()
    AND table = {table:String}
    AND partition_id = {partition:String}
    AND NOT active
    AND rows > 0
    AND (max_block_number > {block:Int64} OR data_version > {version:Int64})
    AND max_block_number < swapped_in
    AND hash_of_all_files NOT IN (
        SELECT hash_of_all_files
        FROM system.parts
        WHERE database = currentDatabase() AND table = {staging:String}
    )
