-- All rows of a table, as the user of the connection is shown them; a part of row_filters.sql.
-- Grain   one row
SELECT count() FROM $table
