-- Who holds some leases.
-- Grain   one row per lease that is held
-- Reads   these keys in Keeper
SELECT name, token
FROM $leases
WHERE name IN {names:Array(String)}
