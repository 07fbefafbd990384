-- The keys of the objects in files, at most 1,000 of each file.
-- Grain   one row per file
-- Reads   these files
SELECT substring($path, {skip:UInt64} + 1), groupUniqArrayArray(1000)(arrayMap(key -> toValidUTF8(key), JSONExtractKeys(json)))
FROM $source
WHERE $path IN {paths:Array(String)}
GROUP BY 1
SETTINGS use_hive_partitioning = 0, s3_path_filter_limit = {by_name:UInt64}, max_execution_time = {seconds:UInt64}
