-- Rows of a pre-aggregated table on days on which the demo loaded no event of their team.
-- Grain   one row
-- Reads   all of the table, of which the team and the time
SELECT count()
FROM $target
WHERE (team_id, toDate(period_bucket)) NOT IN (
    SELECT
        team_id,
        day
    FROM web_analytics_demo
)
