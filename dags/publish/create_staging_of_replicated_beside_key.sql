-- Both: see create_staging_of_replicated.sql and create_staging_beside_key.sql.
CREATE TABLE $staging AS $target
ENGINE = $engine
SETTINGS
    lightweight_mutation_projection_mode = 'rebuild',
    deduplicate_merge_projection_mode = 'rebuild',
    allow_dimensions_outside_sorting_key = 1
