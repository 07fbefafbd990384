-- The objects below a prefix whose name a pattern has: no object is read, and none but these is looked at.
-- Grain   one row per object
-- Reads   the listing of the prefix, a request for 1,000 names
SELECT substring(_path, {skip:UInt64} + 1) AS path, _size, toInt64(toUnixTimestamp(_time)) * 1000000, ifNull(_etag, '')
FROM $source
WHERE match(substring(_path, {skip:UInt64} + 1), {pattern:String})
SETTINGS use_hive_partitioning = 0, s3_skip_empty_files = 0, max_execution_time = {seconds:UInt64}
