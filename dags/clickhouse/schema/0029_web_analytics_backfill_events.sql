-- What happened to every backfill, a managed one or one that the planner launched: who, why, what and when.
-- Grain   one row per event; nothing is ever changed, and `backfill_log` reads it as one row a backfill
-- event: accepted, started, gate, day_backed_up, day_done, day_failed, day_restored, chunk_done, chunk_failed, control
-- (a pause or a cancel that was asked for), ended; status: what the backfill is from then on, empty where it stays.
-- day: 1970-01-01 where an event is of no day; chunk: 0 where it is of none
-- detail: the frozen plan of `accepted`, what a gate measured, an error
CREATE TABLE IF NOT EXISTS web_analytics_backfill_events
(
    backfill_id String,
    event LowCardinality(String),
    status LowCardinality(String),
    origin LowCardinality(String),
    table_name LowCardinality(String),
    start_date Date,
    end_date Date,
    chunk UInt32,
    day Date,
    name LowCardinality(String),
    is_passed Bool,
    rows UInt64,
    total UInt64,
    source_rows UInt64,
    seconds Float64,
    requested_by String,
    reason String,
    run_id String,
    detail String,
    at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY (backfill_id, at)
