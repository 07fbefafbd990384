-- How many rows the source has of some days: what a rebuild of them will read.
-- Grain   one row per day
-- Reads   the coverage projection of the source, the days of [start, end)
SELECT toDate(day), sum(events)
FROM
(
    SELECT $source_day AS day, $source_team AS team, count() AS events
    FROM $source
    WHERE $source_day >= {start:Date} AND $source_day < {end:Date}
    GROUP BY day, team
)
WHERE team IN (SELECT team_id FROM web_pre_aggregated_teams FINAL WHERE is_enabled = 1)
GROUP BY day
SETTINGS optimize_time_filter_with_preimage = 0
