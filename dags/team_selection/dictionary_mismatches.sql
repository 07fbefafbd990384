-- Teams about which the list and the dictionary disagree; none, if the dictionary is fresh.
-- Grain   one row per team, with what the list says
-- Cost    one dictionary look-up per team ever selected
SELECT team_id, is_enabled = 1
FROM web_pre_aggregated_teams FINAL
WHERE dictHas('web_pre_aggregated_teams_dict', team_id) != is_enabled
ORDER BY team_id
