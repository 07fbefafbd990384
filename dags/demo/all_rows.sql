-- All rows of a table.
-- Grain   one row
-- Reads   nothing but the counts of the parts
SELECT count() FROM $target
