-- The ledger of files: one row for each that an ingestion has seen, of its newest version. processed_at: when it was
-- loaded, left out or failed last, 1970 where it never was. retry_count: how often that version has failed since it was
-- loaded or cleared last. error: why it was not loaded, or what is to be known of it though it was.
CREATE OR REPLACE VIEW processed_files
AS
SELECT
    ingestion_id,
    path,
    size,
    modified_at,
    etag,
    done_at AS processed_at,
    failures AS retry_count,
    multiIf(event = 'cleared', 'DISCOVERED', event = 'removed', 'SKIPPED', event IN ('attached', 'clearing'), 'PROCESSING', upper(event)) AS state,
    schema_version,
    rows,
    error
FROM web_analytics_files
WHERE has_version
