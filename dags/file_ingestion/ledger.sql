-- What an ingestion knows of some files: their newest version, what became of that, and the loads that are there.
-- Grain   one row per file
-- Reads   all events of these files
SELECT path, size, toUnixTimestamp64Micro(modified_at), etag, event, failures, at, loads, load, schema_version, rows, whole, error, broken, attached
FROM web_analytics_files
WHERE ingestion_id = {ingestion:String} AND path IN {paths:Array(String)} AND has_version
