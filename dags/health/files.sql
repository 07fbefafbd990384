-- What of the files of ingestions is not loaded: those that wait, those that failed and how many did too often.
-- Grain   one row per ingestion that is asked about and knows a file
-- Reads   all events of these ingestions
SELECT
    ingestion_id,
    countIf(event IN ('discovered', 'cleared')) AS waiting,
    minIf(at, event IN ('discovered', 'cleared')) AS waiting_since,
    maxIf(done_at, event = 'success') AS loaded_at,
    countIf(event = 'failed') AS failed,
    countIf(event = 'failed' AND failures >= {tries:UInt32}) AS given_up,
    minIf(at, event = 'failed') AS failed_since,
    argMaxIf(path, (failures, at), event = 'failed') AS path,
    argMaxIf(error, (failures, at), event = 'failed') AS error
FROM web_analytics_files
WHERE ingestion_id IN {ingestions:Array(String)} AND has_version
GROUP BY ingestion_id
