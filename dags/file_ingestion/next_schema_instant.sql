-- The stamp of the next event of what an ingestion loads: the server's clock, or later where the events have come further.
-- Grain   one row
-- Reads   one column of the ingestion's events
SELECT greatest(now64(6, 'UTC'), max(at) + toIntervalMicrosecond(1))
FROM web_analytics_file_schemas
WHERE ingestion_id = {ingestion:String}
