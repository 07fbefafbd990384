-- The works whose ids begin in one of some ways, of some kinds.
-- Grain   one row per work that was accepted
-- Reads   the events by which works were accepted
SELECT DISTINCT backfill_id
FROM web_analytics_backfill_events
WHERE
    arrayExists(start -> startsWith(backfill_id, start), {starts:Array(String)})
    AND event = 'accepted'
    AND has({kinds:Array(String)}, origin)
