-- Take a lease that nobody has: refused (code 999, Node exists) if somebody has.
INSERT INTO $leases (name, token, at)
SETTINGS keeper_map_strict_mode = 1
SELECT {lease:String}, {token:String}, now64(3)
