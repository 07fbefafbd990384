-- How many bytes a row of a table takes uncompressed, on average.
-- Grain   one row
-- Reads   system.parts alone
SELECT if(sum(rows) = 0, 0, sum(data_uncompressed_bytes) / sum(rows))
FROM system.parts
WHERE database = currentDatabase() AND table = {table:String} AND active
