-- The same beside a replicated target, but not replicated: parts move between the two all the same. Keys and projections
-- are the target's; the settings that projections need are not taken along with another engine.
CREATE TABLE $staging AS $target
ENGINE = $engine
SETTINGS lightweight_mutation_projection_mode = 'rebuild', deduplicate_merge_projection_mode = 'rebuild'
