-- What a table, or its staging, holds of a day, by team. A row outside the day counts in `strays` of its team.
-- Grain   one row per team
-- Reads   the states of that table's day; of all days, where `day_only` is 0, which staging alone can afford
SELECT
    team_id,
    count() AS rows,
    uniqMerge(sessions_uniq_state) AS sessions,
    sumMerge(pageviews_count_state) AS pageviews,
    countIf(toDate(period_bucket) != {day:Date}) AS strays
FROM $target
WHERE
    {day_only:UInt8} = 0
    OR (period_bucket >= toDateTime({day:Date}, 'UTC') AND period_bucket < toDateTime({day:Date} + 1, 'UTC'))
GROUP BY team_id
