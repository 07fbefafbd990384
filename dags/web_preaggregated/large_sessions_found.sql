-- How many hashes of sessions are too large to be put together in memory.
-- Grain   one row
SELECT count() AS sessions
FROM $unusual
WHERE is_large
