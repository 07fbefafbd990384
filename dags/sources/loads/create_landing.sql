-- Where the rows of a load land, seen by nobody else: for each, which part of the source it is of, the batch and the key
-- up to which that goes, which attempt has brought it, its own key, its day, and when it was read. By the day, so that a few days are read
-- without the others.
-- A batch that is sent twice lands once: ClickHouse keeps the tokens of so many.
-- Parts of up to 10 GB are compact: a wide one has buffers for every column, four times the memory of a batch of
-- 100,000 rows of 22 columns (121 MiB instead of 33). Up to a size they are merged, which reads and writes them again: a
-- sixth of what a load costs. Where they are not, nobody waits for it, however many they are.
CREATE TABLE $landing
(
    _range UInt32,
    _batch UInt32,
    _until String,
    _attempt UInt32,
    _key String,
    _day Date,
    _read_at DateTime64(6, 'UTC') DEFAULT now64(6),
    $declaration
)
ENGINE = MergeTree
ORDER BY _day
SETTINGS index_granularity = $granularity, non_replicated_deduplication_window = 1000, min_bytes_for_wide_part = 10000000000,
    max_bytes_to_merge_at_max_space_in_pool = $merged_bytes, parts_to_delay_insert = 100000,
    parts_to_throw_insert = 100000
