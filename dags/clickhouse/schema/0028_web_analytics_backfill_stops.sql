-- The switch that stops backfills: who stopped them or let them go on, when and why.
-- Grain   one row per event, the last one counts; nothing is ever changed
CREATE TABLE IF NOT EXISTS web_analytics_backfill_stops
(
    is_stopped Bool,
    reason String,
    requested_by String,
    at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY at
