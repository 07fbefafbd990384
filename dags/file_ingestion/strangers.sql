-- Teams of which a group of files brings rows, and which are not enabled.
-- Grain   one row per team
-- Reads   two columns of all that has landed; the list of teams
SELECT DISTINCT team_id
FROM $landing
WHERE timestamp >= toDateTime(86400, 'UTC')
    AND team_id NOT IN (SELECT team_id FROM web_pre_aggregated_teams FINAL WHERE is_enabled)
