-- Every file that an ingestion has seen, in one row: its newest version, what became of that and when, and the loads of
-- whichever version whose rows are in the target, or may be: what broke off; of them those of which all
-- are there (whole), those that broke off (broken), and those that are beside what they take the place of (attached). That a version was discovered counts only
-- where nothing else has happened to it, or it was replaced before: what was there once may come again. That one was
-- replaced says of which version only its load, for what stands beside that is of the version that took its place; so
-- does that its rows are being taken out.
-- failures: how often that version has failed since it was loaded or cleared last
-- done_at: when it was loaded, left out or failed last, 1970 where it never was
CREATE OR REPLACE VIEW web_analytics_files
AS
SELECT
    ingestion_id,
    path,
    argMaxIf(version_size, last_at, is_known) AS size,
    argMaxIf(version_modified_at, last_at, is_known) AS modified_at,
    argMaxIf(version_etag, last_at, is_known) AS etag,
    argMaxIf(version_load, last_at, is_known) AS load,
    argMaxIf(last_event, last_at, is_known) AS event,
    argMaxIf(version_schema, last_at, is_known) AS schema_version,
    argMaxIf(version_rows, last_at, is_known) AS rows,
    argMaxIf(last_error, last_at, is_known) AS error,
    argMaxIf(version_failures, last_at, is_known) AS failures,
    argMaxIf(version_done_at, last_at, is_known) AS done_at,
    maxIf(last_at, is_known) AS at,
    groupArrayIf(version_load, is_there) AS loads,
    groupArrayIf(version_load, is_whole) AS whole,
    groupArrayIf(version_load, last_event IN ('processing', 'clearing') AND NOT is_whole) AS broken,
    groupArrayIf(version_load, last_event = 'attached') AS attached,
    countIf(is_known) > 0 AS has_version
FROM
(
    SELECT
        ingestion_id,
        path,
        load AS version_load,
        argMaxIf(size, at, event NOT IN ('replaced', 'clearing')) AS version_size,
        argMaxIf(modified_at, at, event NOT IN ('replaced', 'clearing')) AS version_modified_at,
        argMaxIf(etag, at, event NOT IN ('replaced', 'clearing')) AS version_etag,
        max(at) AS last_at,
        argMaxIf(event, at, event != 'discovered') AS begun,
        if(begun IN ('', 'replaced') AND argMax(event, at) = 'discovered', 'discovered', begun) AS last_event,
        last_event != 'replaced' AS is_known,
        last_event IN ('processing', 'attached', 'success', 'clearing') AS is_there,
        argMaxIf(event, at, event NOT IN ('discovered', 'processing')) IN ('attached', 'success') AS is_whole,
        argMax(schema_version, at) AS version_schema,
        if(last_event = 'success', argMaxIf(web_analytics_file_events.rows, at, event = 'success'), 0) AS version_rows,
        argMaxIf(web_analytics_file_events.error, at, event != 'discovered') AS last_error,
        maxIf(at, event IN ('success', 'cleared')) AS settled_at,
        length(arrayFilter(one -> one > settled_at, groupArrayIf(at, event = 'failed'))) AS version_failures,
        maxIf(at, event IN ('success', 'failed', 'skipped')) AS version_done_at
    FROM web_analytics_file_events
    GROUP BY ingestion_id, path, load
)
GROUP BY ingestion_id, path
