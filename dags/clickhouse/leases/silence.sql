-- How long ago a lease's holder said that it lives.
-- Grain   one row; no seconds where it never did
-- Reads   that lease's signs of life: one every ten seconds
SELECT count() AS beats, dateDiff('millisecond', max(at), now64(3)) / 1000 AS seconds
FROM $lease
WHERE token = {token:String}
