-- What runs that build or load have done and what that took, by kind and week, for dashboards.
-- Grain   one row per week and kind
-- What is NULL of every run is NULL here; where it is of some, the sum is of the others.
-- Reads   as web_analytics_run_costs
CREATE OR REPLACE VIEW web_analytics_costs_by_week
AS
SELECT
    week,
    kind,
    count() AS runs,
    sum(costs.units) AS units,
    sum(costs.seconds) AS seconds,
    sumOrNull(costs.rows) AS rows,
    sumOrNull(costs.rows_read) AS rows_read,
    sumOrNull(costs.bytes_read) AS bytes_read
FROM web_analytics_run_costs AS costs
GROUP BY week, kind
