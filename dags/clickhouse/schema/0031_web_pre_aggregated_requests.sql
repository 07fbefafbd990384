-- Which teams the planner has asked runs to rebuild, where they are too many for a run's configuration, which then names
-- the plan. Nothing is ever changed there.
-- Grain   one row per plan, table and day
-- Kept for 60 days: longer than a run may wait in the queue, and than attempts are remembered.
CREATE TABLE IF NOT EXISTS web_pre_aggregated_requests
(
    plan_id String,
    table_name String,
    day Date,
    team_ids Array(UInt64),
    requested_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (plan_id, day, table_name)
TTL toDateTime(requested_at) + INTERVAL 60 DAY
