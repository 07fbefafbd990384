-- The stamp of an ingestion's next events: the server's clock, or later where the ledger has come further.
-- Grain   one row
-- Reads   one column of the ingestion's events
SELECT greatest(now64(6, 'UTC'), max(at) + toIntervalMicrosecond(1))
FROM web_analytics_file_events
WHERE ingestion_id = {ingestion:String}
