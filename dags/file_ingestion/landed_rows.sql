-- How many rows of each file of a group have landed.
-- Grain   one row per file of which a row has landed
-- Reads   one column of all that has landed
SELECT _range, count() FROM $landing GROUP BY _range
