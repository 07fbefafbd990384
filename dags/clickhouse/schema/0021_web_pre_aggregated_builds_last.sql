-- The last build or verification of each unit, and the logic version of the last build, without reading the others.
ALTER TABLE web_pre_aggregated_builds
    ADD PROJECTION IF NOT EXISTS last
    (
        SELECT
            table_name,
            day,
            team_id,
            argMaxIf(
                tuple(
                    source_events, source_qualifying, source_newest, sessions, pageviews, outcome = 'verified',
                    finished_at
                ),
                finished_at,
                outcome IN ('built', 'empty', 'verified')
            ),
            argMaxIf(logic_version, finished_at, outcome = 'built')
        GROUP BY table_name, day, team_id
    )
