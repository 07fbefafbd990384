-- How many bytes the runs of an ingestion have read, and in how many seconds.
-- Grain   one row
-- Reads   the events of all work
SELECT sum(bytes_read), sum(seconds)
FROM web_analytics_work_events
WHERE kind = {kind:String} AND event = {event:String} AND (subject = {ingestion:String} OR startsWith(subject, concat({ingestion:String}, ' ')))
