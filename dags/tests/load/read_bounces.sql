-- What a dashboard shows of one team's sessions over some days, by day.
-- Grain   one row per day
-- Reads   the team's rows of [start, end)
SELECT
    toDate(period_bucket, 'UTC') AS day,
    uniqMerge(persons_uniq_state) AS persons,
    sumMerge(total_session_count_state) AS sessions,
    sumMerge(bounces_count_state) / sessions AS bounce_rate,
    sumMerge(total_session_duration_state) / sessions AS seconds
FROM web_pre_aggregated_bounces
WHERE
    team_id = {team:UInt64}
    AND period_bucket >= toDateTime({start:Date}, 'UTC')
    AND period_bucket < toDateTime({end:Date}, 'UTC')
GROUP BY day
ORDER BY day
