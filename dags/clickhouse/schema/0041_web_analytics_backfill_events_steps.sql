-- A step of work may be anything that has a name. `day`, `start_date` and `end_date` stay for who reads them, and say
-- the same of steps that are days; in events of before 0.6.0 they alone say it.
ALTER TABLE web_analytics_backfill_events
    ADD COLUMN IF NOT EXISTS step String,
    ADD COLUMN IF NOT EXISTS first_step String,
    ADD COLUMN IF NOT EXISTS last_step String,
    MODIFY COLUMN day Date DEFAULT toDateOrZero(step),
    MODIFY COLUMN start_date Date DEFAULT toDateOrZero(first_step),
    MODIFY COLUMN end_date Date DEFAULT toDateOrZero(last_step)
