-- In which state the parts of sources and of built tables were last seen, by day, and since when what was found of the
-- day before is in doubt.
-- Grain   one row per table and day; the one inserted last counts (FINAL)
-- partitions: those that bear on the day, each with what its parts amount to, see parts.sql
-- doubted_since: the table was altered in place by then; a unit whose last build or verification began later is in no
--        doubt. 1970 where nothing was ever altered
CREATE TABLE IF NOT EXISTS web_pre_aggregated_part_states
(
    table_name String,
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
ORDER BY (table_name, day)
