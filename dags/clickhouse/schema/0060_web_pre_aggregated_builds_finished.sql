-- Which stretches of the ledger have builds of which time, so that the last weeks can be read without the years before.
ALTER TABLE web_pre_aggregated_builds
    ADD INDEX IF NOT EXISTS finished finished_at TYPE minmax GRANULARITY 1
