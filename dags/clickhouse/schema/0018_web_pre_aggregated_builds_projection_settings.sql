-- What a table with projections needs, or a DELETE by hand is refused (code 344).
ALTER TABLE web_pre_aggregated_builds
    MODIFY SETTING lightweight_mutation_projection_mode = 'rebuild'
