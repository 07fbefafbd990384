-- The busiest teams by page views and screens of the days of [start, end).
-- Grain   one row per team, at most `limit` of them
-- Reads   the coverage projection of events
-- Cost    teams × days
SELECT team_id
FROM events
WHERE toDate(timestamp) >= {start:Date} AND toDate(timestamp) < {end:Date}
GROUP BY team_id
HAVING sum(qualifies) > 0
ORDER BY sum(qualifies) DESC, team_id
LIMIT {limit:UInt64}
SETTINGS optimize_time_filter_with_preimage = 0
