-- What the staged sessions amount to, by team: the truth that staged rows are compared with; and how many events of
-- the day after no build counts, see sessions.sql.
-- Grain   one row per team
-- uniq, like the tables' states: the same set gives the same number, so equality is exact.
SELECT
    team_id,
    uniqIf(session_id, uncounted = 0) AS sessions,
    sumIf(pageviews, uncounted = 0) AS pageviews,
    sum(uncounted) AS uncounted_events
FROM $sessions
WHERE day = {day:Date}
GROUP BY team_id
