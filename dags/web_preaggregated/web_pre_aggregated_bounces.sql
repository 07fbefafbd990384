-- A day's sessions by hour and dimension, into staging. A session has one row here, that of its first page view.
-- A session bounces when it has exactly one page view or screen, no autocapture, and lasts under 10 s.
-- Grain   one row per team, hour of the session's start and combination of dimensions
-- Reads   the staged sessions of the day alone; like the page views of web_pre_aggregated_stats.sql only those sessions
--         are grouped whose keys are alike
INSERT INTO $staging
(
    period_bucket, team_id, host, device_type, entry_pathname, end_pathname, browser, os,
    viewport_width, viewport_height, referring_domain, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
    country_code, city_name, region_code, region_name, has_gclid, has_gad_source_paid_search, has_fbclid,
    persons_uniq_state, sessions_uniq_state, pageviews_count_state,
    bounces_count_state, total_session_duration_state, total_session_count_state
)
WITH
    counted AS
    (
        SELECT
            toDateTime(toStartOfHour(began), 'UTC') AS period_bucket,
            team_id,
            views.1[1] AS host,
            views.2[1] AS device_type,
            entry_pathname,
            end_pathname,
            views.4[1] AS browser,
            views.5[1] AS os,
            views.6[1] AS viewport_width,
            views.7[1] AS viewport_height,
            referring_domain,
            utm_source,
            utm_medium,
            utm_campaign,
            utm_term,
            utm_content,
            views.8[1] AS country_code,
            views.9[1] AS city_name,
            views.10[1] AS region_code,
            views.11[1] AS region_name,
            has_gclid,
            has_gad_source_paid_search,
            has_fbclid,
            session_id,
            if(empty(persons), views.12, persons) AS persons_seen,
            toUInt64(pageviews) AS shown,
            toUInt64(pageviews = 1 AND autocaptures = 0 AND lasted_microseconds < 10 * 1000000) AS bounced,
            toInt64(intDiv(lasted_microseconds, 1000000)) AS lasted_seconds,
            cityHash64(hash, views.13[1]) AS key_hash
        FROM $sessions
        WHERE day = {day:Date} AND uncounted = 0 AND pageviews > 0
    )
SELECT
    * EXCEPT (session_id, persons_seen, shown, bounced, lasted_seconds, key_hash),
    arrayReduce('uniqState', persons_seen) AS persons_uniq_state,
    initializeAggregation('uniqState', session_id) AS sessions_uniq_state,
    initializeAggregation('sumState', shown) AS pageviews_count_state,
    initializeAggregation('sumState', bounced) AS bounces_count_state,
    initializeAggregation('sumState', lasted_seconds) AS total_session_duration_state,
    initializeAggregation('sumState', toUInt64(1)) AS total_session_count_state
FROM counted
WHERE key_hash NOT IN (SELECT key_hash FROM $alike)
UNION ALL
SELECT
    * EXCEPT (session_id, persons_seen, shown, bounced, lasted_seconds, key_hash),
    uniqStateArray(persons_seen) AS persons_uniq_state,
    uniqState(session_id) AS sessions_uniq_state,
    sumState(shown) AS pageviews_count_state,
    sumState(bounced) AS bounces_count_state,
    sumState(lasted_seconds) AS total_session_duration_state,
    sumState(toUInt64(1)) AS total_session_count_state
FROM counted
WHERE key_hash IN (SELECT key_hash FROM $alike)
GROUP BY ALL
