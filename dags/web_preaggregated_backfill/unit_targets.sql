-- What a table holds of some units of a day.
-- Grain   one row per team with rows on the day
-- Reads   those teams' rows of the day
SELECT team_id, uniqMerge(sessions_uniq_state) AS sessions, sumMerge(pageviews_count_state) AS pageviews
FROM $target
WHERE
    period_bucket >= toDateTime({day:Date}, 'UTC')
    AND period_bucket < toDateTime({day:Date} + 1, 'UTC')
    AND team_id IN {teams:Array(UInt64)}
GROUP BY team_id
