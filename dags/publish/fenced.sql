-- What any other build has staged of a table's day.
-- Grain   one row per staging table
-- Reads   system.tables alone
SELECT name
FROM system.tables
WHERE
    database = currentDatabase()
    AND startsWith(name, {prefix:String})
    AND endsWith(name, {suffix:String})
    AND position(name, {token:String}) = 0
