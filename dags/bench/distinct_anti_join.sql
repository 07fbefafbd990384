-- The straightforward question for what is missing: who had a page view or screen on a day, and is not in the table?
-- Grain   one row per missing (day, team)
-- Reads   every row of events and of the table in the days asked for; projections are switched off
SELECT day, team_id
FROM
(
    SELECT DISTINCT toDate(timestamp) AS day, team_id
    FROM events
    WHERE
        timestamp >= toDateTime64({start:Date}, 6, 'UTC')
        AND timestamp < toDateTime64({end:Date}, 6, 'UTC')
        AND event IN ('$$pageview', '$$screen')
        AND session_id != ''
        AND team_id IN (SELECT team_id FROM web_pre_aggregated_teams FINAL WHERE is_enabled = 1)
) AS expected
LEFT ANTI JOIN
(
    SELECT DISTINCT toDate(period_bucket) AS day, team_id
    FROM $target
    WHERE period_bucket >= toDateTime({start:Date}, 'UTC') AND period_bucket < toDateTime({end:Date}, 'UTC')
) AS present
    USING (day, team_id)
SETTINGS optimize_use_projections = 0, optimize_use_implicit_projections = 0
