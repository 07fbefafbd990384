-- Teams that somebody enabled by hand, and those that somebody took from the list again.
-- Grain   one row per team: whether its newest row enables it, and since when
-- Cost    the table, one row per team and change
SELECT team_id, is_enabled, changed_at
FROM web_analytics_enabled_teams FINAL
ORDER BY team_id
