-- How many turns of the switch there were before an instant, the last one left out, which counts whenever it was.
-- Grain   one row
-- Reads   every event; people make them, so they are few
SELECT count()
FROM web_analytics_backfill_stops
WHERE at < {before:DateTime64(6, 'UTC')} AND at < (SELECT max(at) FROM web_analytics_backfill_stops)
