-- What an ingestion loads of its files, and which columns these have: versions of that, and what became of each.
-- event: declared (the ingestion is declared otherwise than before), noticed (files have columns that none had before),
-- seen (columns of the first files), refreshed (a person wants every file loaded again), resolved
-- loads: what is declared, as JSON; of declared and refreshed versions
-- columns: those of files, each with its type where the format has one
-- files: some of those in which they were seen
-- resolution: auto_merge, backfill, ignore, manual (nobody has resolved it yet); the last one counts
CREATE TABLE IF NOT EXISTS web_analytics_file_schemas
(
    ingestion_id LowCardinality(String),
    version UInt32,
    event LowCardinality(String),
    loads String,
    columns Map(String, String),
    files Array(String),
    resolution LowCardinality(String),
    requested_by String,
    reason String,
    work_id String,
    at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY (ingestion_id, version, at)
