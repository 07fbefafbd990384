-- What happened to what an ingestion loads, in its order.
-- Grain   one row per event
-- Reads   all of them, of which there are a few
SELECT version, event, declares, loads, columns, files, resolution, requested_by, reason, at
FROM web_analytics_file_schemas
WHERE ingestion_id = {ingestion:String}
ORDER BY at, version
