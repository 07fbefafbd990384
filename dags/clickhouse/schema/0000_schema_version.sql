-- Which of these files have been applied to this database, and when.
-- Grain   one row per applied file
CREATE TABLE IF NOT EXISTS web_analytics_schema_version
(
    version UInt32,
    name String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY version
