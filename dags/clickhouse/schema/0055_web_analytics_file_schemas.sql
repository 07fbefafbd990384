-- What an ingestion loads of its files, and which columns these have: versions of that, and what became of each.
-- event: declared (the ingestion is declared otherwise than before), noticed (files have columns that none had before),
-- seen (columns of the first files), refreshed (a person wants every file loaded again), resolved
-- merged (columns that a person had resolved so are loaded)
-- declares: what is declared, as JSON, of declared versions; loads: what is loaded of files, of those under which any are
-- columns: those of files, each with its types where the format has any
-- files: some of those in which they were seen
-- resolution: auto_merge, backfill, ignore, manual (nobody has resolved it yet); the last one counts
CREATE TABLE IF NOT EXISTS web_analytics_file_schemas
(
    ingestion_id LowCardinality(String),
    version UInt32,
    event LowCardinality(String),
    declares String,
    loads String,
    columns Map(String, Array(String)),
    files Array(String),
    resolution LowCardinality(String),
    requested_by String,
    reason String,
    work_id String,
    at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY (ingestion_id, version, at)
