-- The backups that are kept.
-- Grain   one row per table: its name, until when it is kept, whether ClickHouse may merge its parts
-- Reads   system.tables alone
SELECT
    name,
    comment,
    position(engine_full, 'max_bytes_to_merge_at_max_space_in_pool = 1') = 0 AS is_merged
FROM system.tables
WHERE database = currentDatabase() AND startsWith(name, {prefix:String})
ORDER BY name
