-- How much of each part of the source has landed.
-- Grain   one row per part of which a row has
-- Reads   three columns of all that has landed; once a run
SELECT _range, max(_batch), argMax(_until, _batch), count()
FROM $landing
GROUP BY _range
