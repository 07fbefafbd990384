-- How many builds there were of each day, without reading them: a detection asks whether any was added.
ALTER TABLE web_pre_aggregated_builds
    ADD PROJECTION IF NOT EXISTS recorded
    (
        SELECT day, outcome, count()
        GROUP BY day, outcome
    )
