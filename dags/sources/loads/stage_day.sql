-- One day of what has landed, as the target has rows, however many those are: nothing is sorted. See stage.sql.
-- Reads   this day of what has landed
INSERT INTO $staging ($names, load_id, inserted_at)
WITH {constants:Array(String)} AS _constants
SELECT $values, {load:UInt64}, _read_at
FROM $landing
WHERE _day >= {first:Date} AND _day <= {last:Date}
SETTINGS max_block_size = 8192, min_insert_block_size_rows = 100000, min_insert_block_size_bytes = 0,
    max_insert_threads = 2, max_partitions_per_insert_block = 0
