-- What a dashboard shows of one team's pages over some days: the ten that most people saw.
-- Grain   one row per path
-- Reads   the team's rows of [start, end)
SELECT
    pathname,
    uniqMerge(persons_uniq_state) AS persons,
    sumMerge(pageviews_count_state) AS pageviews
FROM web_pre_aggregated_stats
WHERE
    team_id = {team:UInt64}
    AND period_bucket >= toDateTime({start:Date}, 'UTC')
    AND period_bucket < toDateTime({end:Date}, 'UTC')
GROUP BY pathname
ORDER BY persons DESC, pathname
LIMIT 10
