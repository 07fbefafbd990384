-- The same of a replicated target, see create_staging_of_replicated.sql: the backup is on this server alone.
CREATE TABLE IF NOT EXISTS $backup AS $target
ENGINE = $engine
SETTINGS lightweight_mutation_projection_mode = 'rebuild', deduplicate_merge_projection_mode = 'rebuild'
COMMENT '$kept_until'
