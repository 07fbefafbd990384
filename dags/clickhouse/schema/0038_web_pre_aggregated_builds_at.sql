-- The ledger is stamped by the server, for which build was the last is read from it.
ALTER TABLE web_pre_aggregated_builds
    MODIFY COLUMN started_at DateTime64(6, 'UTC') DEFAULT now64(6),
    MODIFY COLUMN finished_at DateTime64(6, 'UTC') DEFAULT now64(6)
