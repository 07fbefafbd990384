-- Which teams a load brings rows of, and whether each is enabled.
-- Grain   one row per team: its rows; whether it is among the enabled teams
-- Reads   one column of all that has landed
SELECT team, count() AS rows, team IN (SELECT team_id FROM web_pre_aggregated_teams FINAL WHERE is_enabled) AS is_enabled
FROM (SELECT $team AS team FROM $landing)
GROUP BY team
ORDER BY rows DESC, team
