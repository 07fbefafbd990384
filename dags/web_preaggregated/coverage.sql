-- Which rows a table has of a day, by team, without reading them.
-- Grain   one row per team
-- Reads   the coverage projection of that table, one day
SELECT team_id, sumMerge(pageviews_count_state) AS pageviews
FROM $target
WHERE toDate(period_bucket) >= {day:Date} AND toDate(period_bucket) <= {day:Date}
GROUP BY team_id
SETTINGS optimize_time_filter_with_preimage = 0
