-- What an ingestion knows of the files that are not settled: found and not loaded yet, failed, broken off, or to be
-- loaded again.
-- Grain   one row per file
-- Reads   all events of the ingestion
SELECT path, size, toUnixTimestamp64Micro(modified_at), etag, event, failures, at, loads, load, schema_version, rows, whole, error, broken, attached
FROM web_analytics_files
WHERE ingestion_id = {ingestion:String} AND has_version
    AND NOT
    (
        (event = 'success' AND empty(broken) AND schema_version >= {reload_below:UInt32})
        OR event = 'skipped'
        OR (event = 'removed' AND schema_version >= {refreshed:UInt32})
    )
