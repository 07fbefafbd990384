-- What ClickHouse knows of some tables: kind, keys, columns, the materialized views that read them.
-- Grain   one row per table that exists
-- Reads   system tables alone; one statement, however many tables
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
WHERE tables.database = currentDatabase() AND tables.name IN {tables:Array(String)}
SETTINGS join_use_nulls = 0
