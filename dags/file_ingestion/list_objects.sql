-- The objects below a prefix whose name a pattern has. No object is read. What is called like a directory is one that a
-- console made.
-- Each object is a block of its own until a join brings 128 of them together: what is computed of a block costs more
-- than the object's listing (13 s of CPU for 100,000, instead of 5), and a row that is kept as a block has 4 kB a column.
-- A storage that answers with errors is asked for half a minute: by itself the engine tries 500 times, and heeds no
-- limit of time meanwhile.
-- Grain   one row per object, the last column being 1
-- Reads   the listing of the prefix, a request for 1,000 names; the engine holds 2 kB an object meanwhile
SELECT
    substring(CAST(listed._path, 'String'), {skip:UInt64} + 1) AS below,
    listed._size,
    toInt64(toUnixTimestamp(listed._time)) * 1000000,
    replaceAll(CAST(ifNull(listed._etag, ''), 'String'), '"', ''),
    1
FROM
(
    SELECT _path, _size, _time, _etag FROM $source
) AS listed
CROSS JOIN
(
    SELECT 1 AS nothing
) AS nobody
WHERE match(below, {pattern:String}) AND below != '' AND NOT endsWith(below, '/')
SETTINGS
    use_hive_partitioning = 0,
    s3_skip_empty_files = 0,
    s3_retry_attempts = 6,
    max_execution_time = {seconds:UInt64},
    query_plan_filter_push_down = 0,
    min_joined_block_size_rows = 128,
    min_joined_block_size_bytes = 0
