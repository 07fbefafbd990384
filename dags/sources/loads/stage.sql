-- Some days of what has landed, as the target has rows. Sorted by the day, in which they lie there, so that a block
-- holds few days however they have come.
-- Reads   these days of what has landed
INSERT INTO $staging ($names, load_id)
WITH {constants:Array(String)} AS _constants
SELECT $values, {load:UInt64}
FROM $landing
WHERE _day >= {first:Date} AND _day <= {last:Date}
ORDER BY _day
SETTINGS min_insert_block_size_rows = 200000, min_insert_block_size_bytes = 0, max_insert_block_size = 200000,
    max_partitions_per_insert_block = 0
