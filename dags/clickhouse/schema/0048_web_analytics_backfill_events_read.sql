-- What a step's own source holds, its neighbours apart, and what ClickHouse read to do it; 0 where that is not known: in
-- events of before 0.7.0, and on the embedded engine, which does not say what it read.
ALTER TABLE web_analytics_backfill_events
    ADD COLUMN IF NOT EXISTS own_source_rows UInt64,
    ADD COLUMN IF NOT EXISTS rows_read UInt64,
    ADD COLUMN IF NOT EXISTS bytes_read UInt64
