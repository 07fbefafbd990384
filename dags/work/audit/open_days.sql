-- The days that managed backfills which are not over have before them or in work.
-- Grain   one row per backfill: its table, its days, what it is, the run that carried it out last
-- Reads   all events
SELECT backfill_id, table_name, start_date, end_date, status, run_id
FROM backfill_log
WHERE origin = 'managed' AND status IN ('accepted', 'running', 'paused', 'interrupted', 'rolling back')
