-- What ClickHouse knows of some tables: kind, keys, columns, the materialized views on either side.
-- Grain   one row per table that exists
-- Reads   system tables alone; one statement, however many tables
-- A view writes into the table that its definition names after TO; older servers have no column for it.
SELECT
    tables.name AS name,
    tables.engine AS engine,
    tables.engine_full AS engine_full,
    tables.create_table_query AS definition,
    tables.partition_key AS partition_key,
    tables.sorting_key AS sorting_key,
    toString(tables.uuid) AS uuid,
    columns.described AS columns,
    arrayMap((database, view) -> concat(database, '.', view), dependencies_database, dependencies_table) AS read_by,
    writers.views AS written_by,
    serverTimeZone() AS time_zone
FROM system.tables AS tables
LEFT JOIN
(
    SELECT table, groupArray((name, type, default_kind)) AS described
    FROM (
        SELECT table, name, type, default_kind
        FROM system.columns
        WHERE database = currentDatabase() AND table IN {tables:Array(String)}
        ORDER BY table, position
    )
    GROUP BY table
) AS columns ON columns.table = tables.name
LEFT JOIN
(
    SELECT
        replaceAll(
            extract(create_table_query, '^CREATE MATERIALIZED VIEW \\S+ (?:REFRESH [^(]*?)?TO (\\S+)'), '`', ''
        ) AS target,
        groupArray(concat(database, '.', name)) AS views
    FROM system.tables
    WHERE engine = 'MaterializedView'
    GROUP BY target
) AS writers ON writers.target = concat(tables.database, '.', tables.name)
WHERE tables.database = currentDatabase() AND tables.name IN {tables:Array(String)}
SETTINGS join_use_nulls = 0
