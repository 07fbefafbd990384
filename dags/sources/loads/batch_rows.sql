-- How many rows of a batch have landed.
-- Grain   one row
-- Reads   two columns of all that has landed; only after a batch was sent again
SELECT count()
FROM $landing
WHERE _range = {part:UInt32} AND _batch = {batch:UInt32}
