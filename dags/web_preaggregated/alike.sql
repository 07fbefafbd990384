-- Which page views have the same key in web_pre_aggregated_stats as others, as hashes: few, so that the states of all
-- others are made as they are. A session's key in web_pre_aggregated_bounces is that of its first page view, so sessions
-- whose keys are equal are among these.
-- Grain   one row per hash that occurs more than once; of one day each, for the hour is part of the key
-- Reads   the staged sessions
CREATE TABLE $alike
ENGINE = MergeTree
ORDER BY key_hash
AS
SELECT cityHash64(hash, view_hash) AS key_hash
FROM $sessions
ARRAY JOIN views.13 AS view_hash
WHERE uncounted = 0
GROUP BY key_hash
HAVING count() > 1
