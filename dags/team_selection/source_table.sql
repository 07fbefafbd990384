-- Teams that somebody enabled by hand.
-- Grain   one row per enabled team
-- Cost    the table, one row per team
SELECT team_id
FROM web_analytics_enabled_teams FINAL
WHERE is_enabled = 1
ORDER BY team_id
