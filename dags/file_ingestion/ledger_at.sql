-- When the ledger of an ingestion was written last; 1970 where it never was.
-- Grain   one row
-- Reads   one column of the ingestion's events
SELECT max(at) FROM web_analytics_file_events WHERE ingestion_id = {ingestion:String}
