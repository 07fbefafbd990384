-- What a table with a projection needs: without these, merges of an AggregatingMergeTree and a DELETE by hand
-- are refused (code 344). A statement of its own, since adding the projection asks for them beforehand.
ALTER TABLE web_pre_aggregated_stats
    MODIFY SETTING lightweight_mutation_projection_mode = 'rebuild', deduplicate_merge_projection_mode = 'rebuild'
