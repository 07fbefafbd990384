-- How many files an ingestion knows that are not cleared.
-- Grain   one row
-- Reads   all events of the ingestion
SELECT count() FROM web_analytics_files WHERE ingestion_id = {ingestion:String} AND has_version AND event != 'cleared'
