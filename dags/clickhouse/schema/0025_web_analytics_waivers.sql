-- Days and teams that are known to be empty or not worth a rebuild: who says so, why, and until when.
-- Grain   one row per event; a waiver is set once and may be lifted once, nothing is ever changed
-- table_name: empty for every watched table; team_ids: empty for every team; the days are [first_day, last_day]
CREATE TABLE IF NOT EXISTS web_analytics_waivers
(
    waiver_id String,
    event LowCardinality(String),
    table_name String,
    team_ids Array(UInt64),
    first_day Date,
    last_day Date,
    valid_until Date,
    reason String,
    requested_by String,
    at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY (waiver_id, at)
