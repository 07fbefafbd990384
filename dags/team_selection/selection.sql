-- The list as it was last written: every team that was ever on it.
-- Grain   one row per team
-- Cost    the table, one row per team
SELECT team_id, is_enabled = 1, selected_at
FROM web_pre_aggregated_teams FINAL
ORDER BY team_id
