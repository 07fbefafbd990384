-- The server's clock.
-- Grain   one row
-- Reads   nothing
SELECT now64(6, 'UTC')
