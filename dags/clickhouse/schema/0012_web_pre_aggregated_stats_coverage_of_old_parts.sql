-- For rows that were there before the projection; on a new table there is nothing to do.
-- Runs in the background: until it is done detection reads those parts' rows, which is right, only slower.
ALTER TABLE web_pre_aggregated_stats
    MATERIALIZE PROJECTION coverage
    SETTINGS mutations_sync = 0
