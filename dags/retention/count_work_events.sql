-- How many events pieces of work have.
-- Grain   one row
-- Reads   these works' events, by the primary key, one column alone
SELECT count() FROM web_analytics_backfill_events WHERE backfill_id IN {work_ids:Array(String)}
