-- How many days there are of which detection last found something before an instant, and nobody has asked since.
-- Grain   one row
-- Reads   one column of the memory of verdicts
SELECT count() FROM web_pre_aggregated_day_states WHERE read_at < {before:DateTime64(6, 'UTC')}
