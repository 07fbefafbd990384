-- What the parts of a table's day are, by their contents: equal hashes are equal columns and rows, whatever the parts and
-- their table are named. Parts without rows are left out.
-- Grain   one row: the hashes, sorted; whether rows of them were deleted lightly, and may go in a merge
-- Reads   system.parts, that table's
SELECT
    arraySort(groupArray(uncompressed_hash_of_compressed_files)) AS hashes,
    max(has_lightweight_delete) AS is_masked
FROM system.parts
WHERE
    database = currentDatabase()
    AND table = {table:String}
    AND partition_id = {partition:String}
    AND active
    AND rows > 0
