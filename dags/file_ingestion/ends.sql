-- How a packed file begins and ends, as it is stored.
-- Grain   one row per file
-- Reads   the file, not unpacked
SELECT hex(substring(raw, 1, {head:UInt32})), hex(substring(raw, greatest(1, length(raw) - {tail:UInt32} + 1)))
FROM $source
WHERE $path = {path:String}
SETTINGS use_hive_partitioning = 0, max_execution_time = {seconds:UInt64}
