-- What ClickHouse knows of some tables: kind, keys, columns, the materialized views that read them; and every table that
-- passes on what is inserted into it, or into what it reads, with the words that name where to.
-- Grain   one row per table that exists, per column of it in their order, and per table that passes on, in every
-- database that the user sees: what it is, the table's name, and texts
-- Reads   system tables alone; one statement, however many tables
-- A view writes into the table that its definition names after TO; older servers have no column for it.
SELECT
    'table' AS what,
    name,
    0 AS place,
    arrayConcat(
        [engine, engine_full, create_table_query, partition_key, sorting_key, toString(uuid), serverTimeZone()],
        arrayMap((database, view) -> concat(database, '.', view), dependencies_database, dependencies_table)
    ) AS words
FROM system.tables
WHERE database = currentDatabase() AND name IN {tables:Array(String)}
UNION ALL
SELECT 'column', table, position, [name, type, default_kind, default_expression]
FROM system.columns
WHERE database = currentDatabase() AND table IN {tables:Array(String)}
UNION ALL
SELECT
    'passing on',
    name,
    0,
    [database, engine, if(engine = 'MaterializedView', leftUTF8(create_table_query, 65536), engine_full)]
FROM system.tables
WHERE engine IN ('MaterializedView', 'Buffer', 'Distributed', 'Alias')
