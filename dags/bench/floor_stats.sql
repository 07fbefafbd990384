-- The least that a day of web_pre_aggregated_stats can cost if it is grouped: its page views by hour and dimensions,
-- as the events say them. No delivery is left out, no session put together, nothing checked; so it is not the result.
INSERT INTO $target
(
    period_bucket, team_id, host, device_type, pathname, entry_pathname, end_pathname, browser, os,
    viewport_width, viewport_height, referring_domain, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
    country_code, city_name, region_code, region_name, has_gclid, has_gad_source_paid_search, has_fbclid,
    persons_uniq_state, sessions_uniq_state, pageviews_count_state
)
SELECT
    toDateTime(toStartOfHour(timestamp), 'UTC') AS period_bucket,
    team_id,
    host,
    device_type,
    pathname,
    pathname AS entry_pathname,
    pathname AS end_pathname,
    browser,
    os,
    viewport_width,
    viewport_height,
    referring_domain,
    utm_source,
    utm_medium,
    utm_campaign,
    utm_term,
    utm_content,
    country_code,
    city_name,
    region_code,
    region_name,
    toBool(gclid != '') AS has_gclid,
    toBool(gad_source = '1') AS has_gad_source_paid_search,
    toBool(fbclid != '') AS has_fbclid,
    uniqState(person_id) AS persons_uniq_state,
    uniqState(session_id) AS sessions_uniq_state,
    sumState(toUInt64(1)) AS pageviews_count_state
FROM events
WHERE
    timestamp >= toDateTime64({day:Date}, 6, 'UTC')
    AND timestamp < toDateTime64({day:Date} + 1, 6, 'UTC')
    AND team_id IN {teams:Array(UInt64)}
    AND qualifies
GROUP BY ALL
SETTINGS optimize_on_insert = 0
