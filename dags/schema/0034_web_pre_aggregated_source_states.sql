-- In which state a source was last seen, by day, and since when what was built from it before is in doubt.
-- Grain   one row per source and day; the one inserted last counts (FINAL)
-- partitions: those that bear on the day, each with what its parts amount to, see source_parts.sql
-- doubted_since: the source was altered in place by then; a unit that was built or verified later is in no doubt.
--        1970 where nothing was ever altered
CREATE TABLE IF NOT EXISTS web_pre_aggregated_source_states
(
    source String,
    day Date,
    partitions Array(Tuple(
        partition_id String,
        table_id String,
        contents UInt64,
        mutation Int64,
        first_block Int64,
        last_block Int64,
        row_count UInt64)),
    doubted_since DateTime64(6, 'UTC'),
    noticed_at DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = ReplacingMergeTree
ORDER BY (source, day)
