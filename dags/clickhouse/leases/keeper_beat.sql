-- A sign of life, by the server's clock; nothing is done to a lease that was taken away in the meantime.
ALTER TABLE $leases UPDATE at = now64(3)
WHERE name = {lease:String} AND token = {token:String}
SETTINGS keeper_map_strict_mode = 1
