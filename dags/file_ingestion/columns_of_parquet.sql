-- The columns of files of Parquet, each with its type; of a nested one its parts' types.
-- Grain   one row per file
-- Reads   the end of these files, and none of their rows
SELECT
    substring($path, {skip:UInt64} + 1),
    arrayMap(
        one -> (arrayElement(splitByString('.', tupleElement(one, 'path')), 1), concat(tupleElement(one, 'physical_type'), ' ', tupleElement(one, 'logical_type'))),
        columns
    )
FROM $source
WHERE $path IN {paths:Array(String)}
SETTINGS use_hive_partitioning = 0, s3_path_filter_limit = {by_name:UInt64}, max_execution_time = {seconds:UInt64}
