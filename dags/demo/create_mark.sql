-- The mark of the demo: which events it loaded, by team and day, and the teams that it had listed.
-- Grain   one row per (team, day); the day of a listed team is 1970-01-01
CREATE TABLE IF NOT EXISTS web_analytics_demo
(
    team_id UInt64,
    day Date,
    events UInt64,
    digest UInt64
)
ENGINE = MergeTree
ORDER BY (team_id, day)
