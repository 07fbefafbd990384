-- What the parts of a table's day are, by their contents: equal hashes are equal columns and rows, whatever the parts and
-- their table are named. Parts without rows are left out.
-- Grain   one row: the hashes, sorted; whether a TTL of the table may take rows out in a merge
-- Reads   system.parts and system.tables, that table's
SELECT
    arraySort(groupArray(uncompressed_hash_of_compressed_files)) AS hashes,
    (
        SELECT countIf(position(create_table_query, ' TTL ') > 0) > 0
        FROM system.tables
        WHERE database = currentDatabase() AND name = {table:String}
    ) AS has_ttl
FROM system.parts
WHERE
    database = currentDatabase()
    AND table = {table:String}
    AND partition_id = {partition:String}
    AND active
    AND rows > 0
