-- The switch is stamped by the server, whoever turns it.
ALTER TABLE web_analytics_backfill_stops
    MODIFY COLUMN at DateTime64(6, 'UTC') DEFAULT now64(6)
