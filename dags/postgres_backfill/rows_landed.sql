-- How many rows have landed, of all parts of the source.
-- Grain   one row
-- Reads   nothing: parts know it
SELECT count() FROM $landing
