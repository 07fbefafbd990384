-- Whether the user of the connection may insert into every table of a database. Needs no right itself (ClickHouse 24.10).
-- Grain   one row
CHECK GRANT INSERT ON $database.*
