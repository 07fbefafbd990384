-- The list of teams that detection, builds and reports work with, as web_analytics_team_selection last wrote it.
-- Grain   one row per team that was ever selected; those that left stay, with is_enabled = 0
CREATE TABLE IF NOT EXISTS web_pre_aggregated_teams
(
    team_id UInt64,
    is_enabled UInt8,
    selected_at DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(selected_at)
ORDER BY team_id
