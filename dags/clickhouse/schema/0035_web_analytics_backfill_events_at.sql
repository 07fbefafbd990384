-- Events are stamped by the server, whoever inserts them.
ALTER TABLE web_analytics_backfill_events
    MODIFY COLUMN at DateTime64(6, 'UTC') DEFAULT now64(6)
