-- What has landed of a group of files that can be events: how many of each load, how many of each day, and teams of which
-- there are some and which are not enabled.
-- Grain   one row per load, per day and per such team, each without the other two: 0, and 1970-01-01
-- Reads   three columns of all that has landed, once; the list of teams
SELECT load_id, day, team_id, rows
FROM
(
    SELECT load_id, toDate(timestamp) AS day, team_id, count() AS rows
    FROM $landing
    WHERE timestamp >= toDateTime(86400, 'UTC')
    GROUP BY GROUPING SETS ((load_id), (day), (team_id))
)
WHERE team_id = 0 OR team_id NOT IN (SELECT team_id FROM web_pre_aggregated_teams FINAL WHERE is_enabled)
SETTINGS group_by_use_nulls = 0
