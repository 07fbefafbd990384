-- Every table that passes on what is inserted into it, or into what it reads, and the words that name where to.
-- Grain   one row per table of these kinds, in every database that the user sees
-- Reads   a system table alone
-- A view writes into the table that its definition names after TO; older servers have no column for it.
SELECT
    database,
    name,
    engine,
    if(engine = 'MaterializedView', left(create_table_query, 4000), engine_full) AS words
FROM system.tables
WHERE engine IN ('MaterializedView', 'Buffer', 'Distributed')
ORDER BY database, name
