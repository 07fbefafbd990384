-- Of some files, which of them the ledger has: the newest version, when something happened to it last, and whether
-- nothing is to be done about it.
-- Grain   one row per file that it has
-- Reads   all events of these files
SELECT
    path,
    size,
    toUnixTimestamp64Micro(modified_at),
    etag,
    at,
    (event = 'success' AND empty(broken) AND schema_version >= {reload_below:UInt32})
    OR event = 'skipped'
    OR (event = 'removed' AND schema_version >= {refreshed:UInt32})
FROM web_analytics_files
WHERE ingestion_id = {ingestion:String} AND path IN {paths:Array(String)}
