-- What runs that build or load took, by week, the oldest first.
-- Grain   one row per week in which there was one
-- Reads   the ledger from a Monday on, and the audit's events
SELECT week, sum(costs.runs), sum(costs.seconds), sumOrNull(costs.rows), sumOrNull(costs.rows_read), sumOrNull(costs.bytes_read)
FROM web_analytics_costs_by_week AS costs
WHERE week >= {since:Date}
GROUP BY week
ORDER BY week
