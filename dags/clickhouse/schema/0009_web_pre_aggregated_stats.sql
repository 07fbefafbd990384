-- Page views by hour and dimension: what readers ask for paths, sources, devices and places.
-- Grain   one row per team, hour in which the session began, and combination of the page view's dimensions
-- Every dimension is in the sorting key, because rows that share the key are merged into one.
CREATE TABLE IF NOT EXISTS web_pre_aggregated_stats
(
    period_bucket DateTime('UTC'),
    team_id UInt64,
    host LowCardinality(String),
    device_type LowCardinality(String),
    pathname String,
    entry_pathname String,
    end_pathname String,
    browser LowCardinality(String),
    os LowCardinality(String),
    viewport_width Int64,
    viewport_height Int64,
    referring_domain LowCardinality(String),
    utm_source LowCardinality(String),
    utm_medium LowCardinality(String),
    utm_campaign LowCardinality(String),
    utm_term LowCardinality(String),
    utm_content LowCardinality(String),
    country_code LowCardinality(String),
    city_name LowCardinality(String),
    region_code LowCardinality(String),
    region_name LowCardinality(String),
    has_gclid Bool,
    has_gad_source_paid_search Bool,
    has_fbclid Bool,
    persons_uniq_state AggregateFunction(uniq, UUID),
    sessions_uniq_state AggregateFunction(uniq, String),
    pageviews_count_state AggregateFunction(sum, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMMDD(period_bucket)
PRIMARY KEY (team_id, period_bucket, host, device_type)
ORDER BY
(
    team_id, period_bucket, host, device_type, pathname, entry_pathname, end_pathname, browser, os,
    viewport_width, viewport_height, referring_domain, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
    country_code, city_name, region_code, region_name, has_gclid, has_gad_source_paid_search, has_fbclid
)
