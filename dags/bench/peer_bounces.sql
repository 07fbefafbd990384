-- The straightforward way to a day of web_pre_aggregated_bounces: one query that deduplicates the events, groups
-- them by session, joins the sessions to the events for their persons, and groups again. The peer of the build; the
-- same result.
INSERT INTO $target
(
    period_bucket, team_id, host, device_type, entry_pathname, end_pathname, browser, os,
    viewport_width, viewport_height, referring_domain, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
    country_code, city_name, region_code, region_name, has_gclid, has_gad_source_paid_search, has_fbclid,
    persons_uniq_state, sessions_uniq_state, pageviews_count_state,
    bounces_count_state, total_session_duration_state, total_session_count_state
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
            dateDiff('microsecond', began, max(timestamp)) AS lasted_microseconds,
            countIf(qualifies) AS pageviews,
            countIf(event = '$$autocapture') AS autocaptures,
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
        HAVING toDate(began) = {day:Date} AND pageviews > 0
    ),
    -- A session is joined to each of its page views: counting it once takes a grouping of its own.
    visits AS
    (
        SELECT
            event.team_id AS team_id,
            event.session_id AS session_id,
            any(session.began) AS began,
            any(session.lasted_microseconds) AS lasted_microseconds,
            any(session.pageviews) AS pageviews,
            any(session.autocaptures) AS autocaptures,
            any(session.entry_pathname) AS entry_pathname,
            any(session.end_pathname) AS end_pathname,
            any(session.referring_domain) AS referring_domain,
            any(session.utm_source) AS utm_source,
            any(session.utm_medium) AS utm_medium,
            any(session.utm_campaign) AS utm_campaign,
            any(session.utm_term) AS utm_term,
            any(session.utm_content) AS utm_content,
            any(session.has_gclid) AS has_gclid,
            any(session.has_gad_source_paid_search) AS has_gad_source_paid_search,
            any(session.has_fbclid) AS has_fbclid,
            argMin(event.host, (event.timestamp, event.uuid)) AS host,
            argMin(event.device_type, (event.timestamp, event.uuid)) AS device_type,
            argMin(event.browser, (event.timestamp, event.uuid)) AS browser,
            argMin(event.os, (event.timestamp, event.uuid)) AS os,
            argMin(event.viewport_width, (event.timestamp, event.uuid)) AS viewport_width,
            argMin(event.viewport_height, (event.timestamp, event.uuid)) AS viewport_height,
            argMin(event.country_code, (event.timestamp, event.uuid)) AS country_code,
            argMin(event.city_name, (event.timestamp, event.uuid)) AS city_name,
            argMin(event.region_code, (event.timestamp, event.uuid)) AS region_code,
            argMin(event.region_name, (event.timestamp, event.uuid)) AS region_name,
            groupUniqArray(event.person_id) AS persons
        FROM deduplicated AS event
        INNER JOIN sessions AS session ON event.team_id = session.team_id AND event.session_id = session.session_id
        WHERE event.qualifies
        GROUP BY event.team_id, event.session_id
    )
SELECT
    toDateTime(toStartOfHour(began), 'UTC') AS period_bucket,
    team_id, host, device_type, entry_pathname, end_pathname, browser, os,
    viewport_width, viewport_height, referring_domain, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
    country_code, city_name, region_code, region_name, has_gclid, has_gad_source_paid_search, has_fbclid,
    uniqStateArray(persons) AS persons_uniq_state,
    uniqState(session_id) AS sessions_uniq_state,
    sumState(toUInt64(pageviews)) AS pageviews_count_state,
    sumState(toUInt64(pageviews = 1 AND autocaptures = 0 AND lasted_microseconds < 10 * 1000000)) AS bounces_count_state,
    sumState(toInt64(intDiv(lasted_microseconds, 1000000))) AS total_session_duration_state,
    sumState(toUInt64(1)) AS total_session_count_state
FROM visits
GROUP BY ALL
