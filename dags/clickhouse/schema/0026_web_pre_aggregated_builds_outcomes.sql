-- Which stretches of the ledger hold a failure, so that the few there are can be read without the many builds.
ALTER TABLE web_pre_aggregated_builds
    ADD INDEX IF NOT EXISTS outcomes outcome TYPE set(8) GRANULARITY 1
