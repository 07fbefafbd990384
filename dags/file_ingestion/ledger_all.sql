-- What an ingestion knows of every file.
-- Grain   one row per file
-- Reads   all events of the ingestion
SELECT path, size, toUnixTimestamp64Micro(modified_at), etag, event, failures, at, loads, load, schema_version, rows, whole, error, broken, attached
FROM web_analytics_files
WHERE ingestion_id = {ingestion:String} AND has_version
