-- Teams that somebody enabled by hand: the team source named `table`. People and other systems write it.
-- Grain   one row per team and change; the newest says whether the team is enabled
CREATE TABLE IF NOT EXISTS web_analytics_enabled_teams
(
    team_id UInt64,
    is_enabled UInt8 DEFAULT 1,
    changed_at DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = ReplacingMergeTree(changed_at)
ORDER BY team_id
