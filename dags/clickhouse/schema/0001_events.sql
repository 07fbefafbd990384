-- What happened: page views and everything else that trackers, copies and files deliver.
-- Grain   one row per event as delivered; the same uuid twice for a team is one event
-- Days    one ClickHouse partition a day, so that building a day reads three days and not a month;
--         a loader of more than 100 days at once sets max_partitions_per_insert_block
CREATE TABLE IF NOT EXISTS events
(
    team_id UInt64,
    uuid UUID,
    event LowCardinality(String),
    timestamp DateTime64(6, 'UTC'),
    distinct_id String,
    person_id UUID,
    session_id String,
    inserted_at DateTime64(6, 'UTC') DEFAULT now64(6),
    host LowCardinality(String),
    pathname String,
    referring_domain LowCardinality(String),
    utm_source LowCardinality(String),
    utm_medium LowCardinality(String),
    utm_campaign LowCardinality(String),
    utm_term LowCardinality(String),
    utm_content LowCardinality(String),
    browser LowCardinality(String),
    os LowCardinality(String),
    device_type LowCardinality(String),
    viewport_width Int64,
    viewport_height Int64,
    country_code LowCardinality(String),
    city_name LowCardinality(String),
    region_code LowCardinality(String),
    region_name LowCardinality(String),
    gclid String,
    gad_source LowCardinality(String),
    fbclid String
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(timestamp)
ORDER BY (team_id, timestamp)
