-- Whether builds of a table's day were recorded since a staging table was made: what was moved there is older then.
-- Grain   one row
-- Reads   the ledger's builds of that day, and system.tables
SELECT count() > 0
FROM web_pre_aggregated_builds
WHERE
    table_name = {table:String} AND day = toDate(parseDateTime({day:String}, '%Y%m%d'))
    AND finished_at >
    (
        SELECT max(metadata_modification_time)
        FROM system.tables
        WHERE database = currentDatabase() AND name = {staging:String}
    )
