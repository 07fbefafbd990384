-- The ledger of files: one row for each that an ingestion has seen, of its newest version. processed_at: when it was
-- loaded, left out or failed last, 1970 where it never was. retry_count: how often that version has failed since it was
-- loaded or cleared last.
CREATE OR REPLACE VIEW processed_files
AS
SELECT
    ingestion_id,
    path,
    argMaxIf(version_size, last_at, is_known) AS size,
    argMaxIf(version_modified_at, last_at, is_known) AS modified_at,
    argMaxIf(version_etag, last_at, is_known) AS etag,
    argMaxIf(done_at, last_at, is_known) AS processed_at,
    argMaxIf(failures, last_at, is_known) AS retry_count,
    argMaxIf(if(last_event = 'cleared', 'DISCOVERED', upper(last_event)), last_at, is_known) AS state,
    argMaxIf(version_schema, last_at, is_known) AS schema_version,
    argMaxIf(version_rows, last_at, is_known) AS rows,
    argMaxIf(last_error, last_at, is_known) AS error
FROM
(
    SELECT
        ingestion_id,
        path,
        load,
        any(size) AS version_size,
        any(modified_at) AS version_modified_at,
        any(etag) AS version_etag,
        max(at) AS last_at,
        argMax(event, at) AS last_event,
        last_event != 'replaced' AS is_known,
        maxIf(at, event IN ('success', 'failed', 'skipped')) AS done_at,
        maxIf(at, event IN ('success', 'cleared')) AS settled_at,
        length(arrayFilter(one -> one > settled_at, groupArrayIf(at, event = 'failed'))) AS failures,
        argMax(schema_version, at) AS version_schema,
        if(last_event = 'success', argMax(web_analytics_file_events.rows, at), 0) AS version_rows,
        argMax(web_analytics_file_events.error, at) AS last_error
    FROM web_analytics_file_events
    GROUP BY ingestion_id, path, load
)
GROUP BY ingestion_id, path
HAVING countIf(is_known) > 0
