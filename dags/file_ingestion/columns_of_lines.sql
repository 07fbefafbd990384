-- The first line of files, which names their columns.
-- Grain   one row per file
-- Reads   these files
SELECT substring($path, {skip:UInt64} + 1), any(line)
FROM $source
WHERE $path IN {paths:Array(String)} AND _row_number = 0
GROUP BY 1
SETTINGS use_hive_partitioning = 0, s3_path_filter_limit = {by_name:UInt64}, max_execution_time = {seconds:UInt64}
