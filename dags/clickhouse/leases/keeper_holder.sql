-- Who holds a lease, if anybody does, and seconds since its last sign of life.
-- Grain   at most one row
-- Reads   that key in Keeper
SELECT name, token, dateDiff('millisecond', at, now64(3)) / 1000 AS silent
FROM $leases
WHERE name = {lease:String}
