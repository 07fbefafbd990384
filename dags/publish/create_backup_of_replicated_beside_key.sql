-- Both: see create_backup_of_replicated.sql and create_staging_beside_key.sql.
CREATE TABLE IF NOT EXISTS $backup AS $target
ENGINE = $engine
SETTINGS
    lightweight_mutation_projection_mode = 'rebuild',
    deduplicate_merge_projection_mode = 'rebuild',
    allow_dimensions_outside_sorting_key = 1
COMMENT '$kept_until'
