-- Rows of a group of files land, in a table like the target from which their days are attached as they are. A row with
-- a fault is no event: it lands on 1970-01-01, where none may be and nothing is attached from, so many seconds after
-- midnight as its fault's number is, and says as its event where it was.
-- Reads   what $rows reads
INSERT INTO $landing ($names, load_id, inserted_at)
WITH {constants:Array(String)} AS _constants
SELECT $values, _load, now64(6, 'UTC')
FROM (SELECT *, $fault AS _number FROM ($rows))
$order
SETTINGS max_insert_threads = 2, min_insert_block_size_rows = 500000, min_insert_block_size_bytes = 268435456,
    max_bytes_before_external_sort = 500000000, max_partitions_per_insert_block = {days:UInt64},
    throw_on_max_partitions_per_insert_block = 1, insert_deduplicate = 0, use_hive_partitioning = 0,
    s3_skip_empty_files = 0, s3_validate_etag_on_read = 1, s3_path_filter_limit = {by_name:UInt64},
    input_format_skip_unknown_fields = {takes_any_column:UInt8}, max_execution_time = {seconds:UInt64}
