-- A batch lands, as one block and so as one part or not at all, whatever its size; what the range, the batch, its last
-- key and the attempt are, is in every row. Sent a second time, nothing lands.
-- Reads   the batch from PostgreSQL, once
INSERT INTO $landing (_range, _batch, _until, _attempt, _key, _day, $names)
SELECT {range:UInt32}, {batch:UInt32}, {until:String}, {attempt:UInt32}, k, $day, $values
FROM $source
SETTINGS insert_deduplication_token = {token:String}, max_insert_threads = 1, min_insert_block_size_rows = 1000000000,
    min_insert_block_size_bytes = 0, max_execution_time = {seconds:UInt64}
