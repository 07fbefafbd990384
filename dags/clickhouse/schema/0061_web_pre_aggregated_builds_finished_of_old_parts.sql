-- For what was in the ledger before the index was; done in the background.
ALTER TABLE web_pre_aggregated_builds
    MATERIALIZE INDEX finished
    SETTINGS mutations_sync = 0
