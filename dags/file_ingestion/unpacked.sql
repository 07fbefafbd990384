-- How many bytes a packed file has as it is unpacked; one more where its last line has no end.
-- Grain   one row
-- Reads   the file, once
SELECT sum(length(line) + 1)
FROM $source
WHERE $path = {path:String}
SETTINGS use_hive_partitioning = 0, max_execution_time = {seconds:UInt64}
