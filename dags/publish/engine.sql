-- Which kind of table one is.
-- Grain   one row
SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = {table:String}
