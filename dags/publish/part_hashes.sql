-- What the parts of a table's day are, by their contents: equal hashes are equal columns and rows, whatever the parts and
-- their table are named. Parts without rows are left out.
-- Grain   one row: the hashes, sorted; how many parts an ALTER has changed since they came, where a column that was
-- renamed keeps its contents, or a light UPDATE lies in a part beside
-- Reads   system.parts, that table's
SELECT
    arraySort(groupArrayIf(uncompressed_hash_of_compressed_files, partition_id = {partition:String})) AS hashes,
    countIf(partition_id != {partition:String} OR data_version != min_block_number) AS altered
FROM system.parts
WHERE
    database = currentDatabase()
    AND table = {table:String}
    AND (partition_id = {partition:String} OR startsWith(partition_id, 'patch-'))
    AND active
    AND rows > 0
