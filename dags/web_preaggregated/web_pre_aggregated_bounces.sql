-- A day's sessions by hour and dimension, into staging. A session has one row here, that of its first page view.
-- A session bounces when it has exactly one page view or screen, no autocapture, and lasts under 10 s.
-- Grain   one row per team, hour of the session's start and combination of dimensions
-- Reads   the staged sessions alone
INSERT INTO $staging
(
    period_bucket, team_id, host, device_type, entry_pathname, end_pathname, browser, os,
    viewport_width, viewport_height, referring_domain, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
    country_code, city_name, region_code, region_name, has_gclid, has_gad_source_paid_search, has_fbclid,
    persons_uniq_state, sessions_uniq_state, pageviews_count_state,
    bounces_count_state, total_session_duration_state, total_session_count_state
)
SELECT
    toDateTime(toStartOfHour(began), 'UTC') AS period_bucket,
    team_id,
    first_pageview.1 AS host,
    first_pageview.2 AS device_type,
    first_pageview.3 AS entry_pathname,
    end_pathname,
    first_pageview.4 AS browser,
    first_pageview.5 AS os,
    first_pageview.6 AS viewport_width,
    first_pageview.7 AS viewport_height,
    referring_domain,
    utm_source,
    utm_medium,
    utm_campaign,
    utm_term,
    utm_content,
    first_pageview.8 AS country_code,
    first_pageview.9 AS city_name,
    first_pageview.10 AS region_code,
    first_pageview.11 AS region_name,
    has_gclid,
    has_gad_source_paid_search,
    has_fbclid,
    uniqStateArray(persons) AS persons_uniq_state,
    uniqState(session_id) AS sessions_uniq_state,
    sumState(toUInt64(pageviews)) AS pageviews_count_state,
    sumState(toUInt64(pageviews = 1 AND autocaptures = 0 AND lasted_microseconds < 10 * 1000000)) AS bounces_count_state,
    sumState(toInt64(intDiv(lasted_microseconds, 1000000))) AS total_session_duration_state,
    sumState(toUInt64(1)) AS total_session_count_state
FROM $sessions
WHERE uncounted = 0
GROUP BY ALL
