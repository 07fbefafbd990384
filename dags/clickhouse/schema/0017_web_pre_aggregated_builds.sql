-- The build ledger: what was built, when, from what. It gives a gap its reason; the data gives the truth.
-- Grain   one row per build of a unit (table, day, team); team_id 0 stands for all teams of a day whose build failed
-- source_events, source_qualifying, source_newest: activity of the day and its neighbours when the build began, in
-- the expression of the projection `coverage` of events; the same numbers now mean that nothing has arrived since.
-- outcome: built; empty (nothing to build, rows removed if there were any); held (not published: it would have
-- removed half of the sessions or more); failed; verified (a detection found the rows equal to the source).
CREATE TABLE IF NOT EXISTS web_pre_aggregated_builds
(
    table_name LowCardinality(String),
    day Date,
    team_id UInt64,
    run_id String,
    logic_version UInt32,
    outcome LowCardinality(String),
    source_events UInt64,
    source_qualifying UInt64,
    source_newest DateTime64(6, 'UTC'),
    sessions UInt64,
    pageviews UInt64,
    error String,
    started_at DateTime64(6, 'UTC'),
    finished_at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (table_name, day, team_id, finished_at)
