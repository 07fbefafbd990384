-- The straightforward way to a day of web_pre_aggregated_stats: one query that deduplicates the events, groups them
-- by session, and joins the sessions to the events. The peer of the build; the same result.
INSERT INTO $target
(
    period_bucket, team_id, host, device_type, pathname, entry_pathname, end_pathname, browser, os,
    viewport_width, viewport_height, referring_domain, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
    country_code, city_name, region_code, region_name, has_gclid, has_gad_source_paid_search, has_fbclid,
    persons_uniq_state, sessions_uniq_state, pageviews_count_state
)
WITH
    deduplicated AS
    (
        SELECT
            team_id, uuid, event, timestamp, person_id, session_id, qualifies, host, pathname, referring_domain,
            utm_source, utm_medium, utm_campaign, utm_term, utm_content, browser, os, device_type, viewport_width,
            viewport_height, country_code, city_name, region_code, region_name, gclid, gad_source, fbclid
        FROM events
        WHERE
            timestamp >= toDateTime64({day:Date} - 1, 6, 'UTC')
            AND timestamp < toDateTime64({day:Date} + 2, 6, 'UTC')
            AND team_id IN {teams:Array(UInt64)}
        ORDER BY inserted_at DESC
        LIMIT 1 BY team_id, uuid
    ),
    sessions AS
    (
        SELECT
            team_id,
            session_id,
            min(timestamp) AS began,
            argMinIf(pathname, (timestamp, uuid), qualifies) AS entry_pathname,
            argMaxIf(pathname, (timestamp, uuid), qualifies) AS end_pathname,
            argMinIf(referring_domain, (timestamp, uuid), referring_domain != '') AS referring_domain,
            argMinIf(utm_source, (timestamp, uuid), utm_source != '') AS utm_source,
            argMinIf(utm_medium, (timestamp, uuid), utm_medium != '') AS utm_medium,
            argMinIf(utm_campaign, (timestamp, uuid), utm_campaign != '') AS utm_campaign,
            argMinIf(utm_term, (timestamp, uuid), utm_term != '') AS utm_term,
            argMinIf(utm_content, (timestamp, uuid), utm_content != '') AS utm_content,
            max(gclid != '') AS has_gclid,
            argMinIf(gad_source, (timestamp, uuid), gad_source != '') = '1' AS has_gad_source_paid_search,
            max(fbclid != '') AS has_fbclid
        FROM deduplicated
        WHERE session_id != ''
        GROUP BY team_id, session_id
        HAVING toDate(began) = {day:Date} AND countIf(qualifies) > 0
    )
SELECT
    toDateTime(toStartOfHour(session.began), 'UTC') AS period_bucket,
    event.team_id AS team_id,
    event.host AS host,
    event.device_type AS device_type,
    event.pathname AS pathname,
    session.entry_pathname AS entry_pathname,
    session.end_pathname AS end_pathname,
    event.browser AS browser,
    event.os AS os,
    event.viewport_width AS viewport_width,
    event.viewport_height AS viewport_height,
    session.referring_domain AS referring_domain,
    session.utm_source AS utm_source,
    session.utm_medium AS utm_medium,
    session.utm_campaign AS utm_campaign,
    session.utm_term AS utm_term,
    session.utm_content AS utm_content,
    event.country_code AS country_code,
    event.city_name AS city_name,
    event.region_code AS region_code,
    event.region_name AS region_name,
    session.has_gclid AS has_gclid,
    session.has_gad_source_paid_search AS has_gad_source_paid_search,
    session.has_fbclid AS has_fbclid,
    uniqState(event.person_id) AS persons_uniq_state,
    uniqState(event.session_id) AS sessions_uniq_state,
    sumState(toUInt64(1)) AS pageviews_count_state
FROM deduplicated AS event
INNER JOIN sessions AS session ON event.team_id = session.team_id AND event.session_id = session.session_id
WHERE event.qualifies
GROUP BY ALL
