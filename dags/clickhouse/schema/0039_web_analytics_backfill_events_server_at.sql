-- The server's clock when an event was written down. `at` orders the events of one backfill and may run ahead of it, after
-- the clock stepped back; what other tables stamp is compared with this one. Events of before have `at` for it.
ALTER TABLE web_analytics_backfill_events
    ADD COLUMN IF NOT EXISTS server_at DateTime64(6, 'UTC') DEFAULT at
