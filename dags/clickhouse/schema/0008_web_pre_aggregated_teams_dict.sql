-- The enabled teams, for readers that look one up a million times a query.
-- Read by ClickHouse itself as the user `default`; a server where that user needs a password
-- has this dictionary created by its administrator beforehand (README, "Server").
CREATE DICTIONARY IF NOT EXISTS web_pre_aggregated_teams_dict
(
    team_id UInt64,
    selected_at DateTime64(6, 'UTC')
)
PRIMARY KEY team_id
SOURCE(CLICKHOUSE(QUERY 'SELECT team_id, selected_at FROM $database.web_pre_aggregated_teams FINAL WHERE is_enabled = 1'))
LAYOUT(HASHED())
LIFETIME(MIN 600 MAX 3600)
