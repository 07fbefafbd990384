-- Forget pieces of work that are over: everything that happened to them.
ALTER TABLE web_analytics_backfill_events DELETE WHERE backfill_id IN {work_ids:Array(String)}
