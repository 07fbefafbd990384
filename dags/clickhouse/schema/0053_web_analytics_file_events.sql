-- What happened to every version of every file that an ingestion has seen; nothing is ever changed or forgotten, and
-- `processed_files` reads it as one row a file.
-- event: discovered, processing, attached (it is there whole, beside the version that it takes the place of), success,
-- failed, skipped; clearing (its rows are being taken out, and some may be gone), cleared (its rows were taken out, it is to be loaded again),
-- removed (they were taken out, and it is not), replaced (they were taken out since other rows of that file are there)
-- load: the number on the rows in `events` that this version brought
-- etag: empty where the source has none, as a directory
CREATE TABLE IF NOT EXISTS web_analytics_file_events
(
    ingestion_id LowCardinality(String),
    path String,
    event LowCardinality(String),
    size UInt64,
    modified_at DateTime64(6, 'UTC'),
    etag String,
    load UInt64,
    schema_version UInt32,
    rows UInt64,
    error String,
    work_id String,
    at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY (ingestion_id, path, at)
