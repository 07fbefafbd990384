-- Days before another one that some loads have brought, and when the last rows of each came.
-- Grain   one row per day
-- Reads   the events of these loads
SELECT toDateOrZero(step) AS day, max(server_at)
FROM web_analytics_work_events
WHERE work_id IN {works:Array(String)} AND event = 'load_attached'
GROUP BY day
HAVING day > toDate(0) AND day < {before:Date}
