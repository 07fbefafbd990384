-- What has landed of each file of a group: its rows without those that are none, how many versions of it were read and one of them, and of each
-- check the rows that it refuses with keys of some.
-- Grain   one row per file of which a row has landed
-- Reads   the columns that are checked, of all that has landed
SELECT _range, countIf(_batch < {first_fault:UInt32}), uniqExact(_until), any(_until), [$pairs]
FROM $landing
GROUP BY _range
