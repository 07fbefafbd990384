-- Page views and sessions as a dashboard has them: from the pre-aggregated table.
-- Grain   one row per team
-- Reads   all of the table
SELECT
    team_id,
    toInt64(uniqExact(toDate(period_bucket))) AS days,
    toInt64(sumMerge(pageviews_count_state)) AS views,
    toInt64(uniqMerge(sessions_uniq_state)) AS sessions
FROM $target
GROUP BY team_id
ORDER BY team_id
