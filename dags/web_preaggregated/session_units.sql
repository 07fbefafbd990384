-- What the staged sessions amount to, by team: the truth that staged rows are compared with.
-- Grain   one row per team
-- uniq, like the tables' states: the same set gives the same number, so equality is exact.
SELECT team_id, uniq(session_id) AS sessions, sum(pageviews) AS pageviews
FROM $sessions
GROUP BY team_id
