-- The same, where the target has columns that are no part of its key, see create_staging_beside_key.sql.
CREATE TABLE IF NOT EXISTS $backup AS $target
SETTINGS allow_dimensions_outside_sorting_key = 1
COMMENT '$kept_until'
