-- Forget the turns of the switch before an instant, but the last one.
ALTER TABLE web_analytics_backfill_stops DELETE
WHERE at < {before:DateTime64(6, 'UTC')} AND at < (SELECT max(at) FROM web_analytics_backfill_stops)
