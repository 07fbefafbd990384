-- Some days of what has landed, as the target has rows. Sorted by the day, so that a block holds few days however they
-- have come; sorting costs as much memory as there are rows. Of two rows with one id that counts which was read last, not
-- which was staged last: an older reading that waited does not hide a newer one.
-- Reads   these days of what has landed
INSERT INTO $staging ($names, load_id, inserted_at)
WITH {constants:Array(String)} AS _constants
SELECT $values, {load:UInt64}, _read_at
FROM $landing
WHERE _day >= {first:Date} AND _day <= {last:Date}
ORDER BY _day
SETTINGS max_block_size = 8192, min_insert_block_size_rows = 100000, min_insert_block_size_bytes = 0,
    max_insert_threads = 2, max_partitions_per_insert_block = 0
