-- The months of days of which the ledger has builds that ended before an instant.
-- Grain   one row per month, its first day
-- Reads   two columns of the ledger
SELECT toStartOfMonth(day) AS month
FROM web_pre_aggregated_builds
WHERE finished_at < {before:DateTime64(6, 'UTC')}
GROUP BY month
ORDER BY month
