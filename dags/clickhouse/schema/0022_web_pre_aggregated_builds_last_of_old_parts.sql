-- For builds that were recorded before the projection; on a new table there is nothing to do.
ALTER TABLE web_pre_aggregated_builds
    MATERIALIZE PROJECTION last
    SETTINGS mutations_sync = 0
