-- Who is there, by day and team, without reading rows; kept by ClickHouse with every part, also one that is swapped in.
-- No uniq states in it: they would be a third of the table's size.
ALTER TABLE web_pre_aggregated_stats
    ADD PROJECTION IF NOT EXISTS coverage
    (
        SELECT toDate(period_bucket) AS day, team_id, count(), sumMerge(pageviews_count_state)
        GROUP BY day, team_id
    )
