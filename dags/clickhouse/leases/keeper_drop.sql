-- A lease is done with; nothing is done to one that was taken away in the meantime.
DELETE FROM $leases
WHERE name = {lease:String} AND token = {token:String}
SETTINGS keeper_map_strict_mode = 1
