-- What an ingestion knows of the files that are not settled: found and not loaded yet, failed, broken off, or to be
-- loaded again.
-- Of nearly all files the last event says that they are settled, if they never had another load: these are told in the
-- ledger's own order, which takes no memory, and only of the others what their events come to.
-- Grain   one row per file
-- Reads   six columns of all events of the ingestion, and all events of the files that may not be settled
SELECT path, size, toUnixTimestamp64Micro(modified_at), etag, event, failures, at, loads, load, schema_version, rows, whole, error, broken, attached
FROM web_analytics_files
WHERE ingestion_id = {ingestion:String} AND has_version
    AND path IN
    (
        SELECT path
        FROM web_analytics_file_events
        WHERE ingestion_id = {ingestion:String}
        GROUP BY ingestion_id, path
        HAVING NOT
        (
            min(load) = max(load) AND
            (
                (argMax(event, at) = 'success' AND argMax(schema_version, at) >= {reload_below:UInt32})
                OR argMax(event, at) = 'skipped'
                OR (argMax(event, at) = 'removed' AND argMax(schema_version, at) >= {refreshed:UInt32})
            )
        )
    )
    AND NOT
    (
        (event = 'success' AND empty(broken) AND schema_version >= {reload_below:UInt32})
        OR event = 'skipped'
        OR (event = 'removed' AND schema_version >= {refreshed:UInt32})
    )
SETTINGS optimize_aggregation_in_order = 1
