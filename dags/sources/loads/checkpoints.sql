-- How much of each part of the source has landed: its last batch, the key up to which that goes, its rows, and how many
-- batches more than once, which ClickHouse prevents as long as it keeps their tokens.
-- Grain   one row per part of which a row has
-- Reads   four columns of all that has landed; twice a run
SELECT _range, max(_batch), argMax(_until, _batch), count(), uniqExact(_batch, _attempt) - uniqExact(_batch)
FROM $landing
GROUP BY _range
