-- Files of a group land, in parts of a block each. Of every row: which file of the group it is of, what is wrong with it
-- (as a whole, or the first of its columns that is not what it is to be), and the version of the file that was read.
-- Reads   these files, once
INSERT INTO $landing (_range, _batch, _until, _attempt, _key, _day, $names)
WITH {form:String} AS _form, '' AS _none
SELECT
    toUInt32(transform(_file, {paths:Array(String)}, {numbers:Array(UInt32)}, toUInt32(0))),
    if(_fault > 0, _fault, $wrong),
    concat(ifNull(_etag, ''), ' ', toString(_size), ' ', toString(toUnixTimestamp(_time))),
    1,
    concat(substring(_file, {skip:UInt64} + 1), ' row ', toString(_row_number + 1), _sample),
    $day,
    $values
FROM ($rows)
SETTINGS max_insert_threads = 2, min_insert_block_size_rows = 100000, min_insert_block_size_bytes = 0,
    insert_deduplicate = 0, use_hive_partitioning = 0, s3_skip_empty_files = 0, s3_validate_etag_on_read = 1,
    input_format_skip_unknown_fields = {takes_any_column:UInt8}, max_execution_time = {seconds:UInt64}
