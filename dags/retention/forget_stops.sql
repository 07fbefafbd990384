-- Forget the turns of the switch before an instant, but the last one.
-- Of a replicated table each replica asks its own rows: one that lags keeps more, and then takes the parts of the other.
ALTER TABLE web_analytics_backfill_stops DELETE
WHERE at < {before:DateTime64(6, 'UTC')} AND at < (SELECT max(at) FROM web_analytics_backfill_stops)
SETTINGS allow_nondeterministic_mutations = 1
