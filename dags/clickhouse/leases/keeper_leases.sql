-- The leases that are held, all days: name, holder, seconds since its last sign of life.
-- Grain   one row per lease
-- Reads   all keys of the table in Keeper: as many as there are leases
SELECT name, token, dateDiff('millisecond', at, now64(3)) / 1000 AS silent
FROM $leases
