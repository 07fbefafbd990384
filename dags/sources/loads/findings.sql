-- What is wrong with what has landed: of each check the rows that it refuses, and keys of some.
-- Grain   one row; a pair per check, in their order
-- Reads   the columns that are checked, of all that has landed
SELECT [$pairs]
FROM $landing
