-- Rows that files brought under an older version of the schema land again as they are in the target, without a file
-- being read; see `land.sql`.
-- Reads   what is landed, of the rows of these loads
INSERT INTO $landing (_range, _batch, _until, _attempt, _key, _day, $names)
SELECT
    transform(load_id, {loads:Array(UInt64)}, {numbers:Array(UInt32)}, toUInt32(0)),
    0,
    transform(load_id, {loads:Array(UInt64)}, {versions:Array(String)}, ''),
    1,
    toString(uuid),
    toDate(timestamp),
    $values
FROM $target
WHERE load_id IN {loads:Array(UInt64)}
SETTINGS max_insert_threads = 2, min_insert_block_size_rows = 100000, min_insert_block_size_bytes = 0,
    insert_deduplicate = 0, max_execution_time = {seconds:UInt64}
