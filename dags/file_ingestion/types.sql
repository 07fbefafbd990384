-- The columns of a file: name, type, and what else ClickHouse says of each.
-- Grain   one row per column
-- Reads   what the file says of itself
DESCRIBE TABLE $source
SETTINGS max_execution_time = {seconds:UInt64}, use_hive_partitioning = 0
