-- Files of a group land, in parts of a block each. Of every row: which file of the group it is of, the first of its
-- columns that is not what it is to be, and the version of the file that was read.
-- Reads   these files, once
INSERT INTO $landing (_range, _batch, _until, _attempt, _key, _day, $names)
WITH {form:String} AS _form, '' AS _none
SELECT _file, $wrong, _version, 1, _key, $day, $values
FROM
(
    SELECT
        tuple(*) AS _row,
        toUInt32(transform($path, {paths:Array(String)}, {numbers:Array(UInt32)}, toUInt32(0))) AS _file,
        concat(ifNull(_etag, ''), ' ', toString(_size), ' ', toString(toUnixTimestamp(_time))) AS _version,
        concat(substring($path, {skip:UInt64} + 1), ' row ', toString(_row_number + 1)) AS _key
    FROM $source
    WHERE $path IN {paths:Array(String)}
)
SETTINGS max_insert_threads = 2, min_insert_block_size_rows = 100000, min_insert_block_size_bytes = 0,
    insert_deduplicate = 0, use_hive_partitioning = 0, s3_skip_empty_files = 0, s3_validate_etag_on_read = 1, max_execution_time = {seconds:UInt64}
