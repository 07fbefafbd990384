-- What was swapped away with a table's old day though the build had not seen it: parts written after its last look, and
-- older than what it swapped in; or parts of before that an ALTER has left without a row, unlike the one that the swap
-- itself leaves. What itself swapped in and swapped in again is known by its staging's hashes.
-- Grain   one row: how many parts, their rows, how many of the parts that readers had at the last look are forgotten by
-- now, and the uuid of the table, which tells whether it is still the one that was looked at
-- Reads   system.parts, of that table and of its staging; system.tables
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
SELECT
    countIf(is_strange) AS strange,
    sumIf(rows, is_strange) AS strange_rows,
    length({active:Array(String)}) - countIf(has({active:Array(String)}, name)) AS forgotten,
    (SELECT toString(any(uuid)) FROM system.tables WHERE database = currentDatabase() AND name = {table:String}) AS uuid
FROM
(
    SELECT
        name,
        rows,
        NOT active
        AND NOT has({names:Array(String)}, name)
        AND (
            (rows > 0 AND (max_block_number > {block:Int64} OR data_version > {version:Int64}))
            OR (rows = 0 AND max_block_number <= {block:Int64} AND data_version > {version:Int64})
        )
        AND max_block_number < swapped_in
        AND hash_of_all_files NOT IN (
            SELECT hash_of_all_files
            FROM system.parts
            WHERE database = currentDatabase() AND table = {staging:String}
        ) AS is_strange
    FROM system.parts
    WHERE database = currentDatabase() AND table = {table:String} AND partition_id = {partition:String}
)
