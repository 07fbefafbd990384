-- Take a lease from a dead holder, in one step: there is no moment at which it is free. Refused (Bad version) where
-- it was changed since it was read; nothing is done where its holder has said meanwhile that it lives.
ALTER TABLE $leases UPDATE token = {token:String}, at = now64(3)
WHERE
    name = {lease:String} AND token = {holder:String}
    AND dateDiff('millisecond', at, now64(3)) / 1000 >= {silent:Float64}
SETTINGS keeper_map_strict_mode = 1
