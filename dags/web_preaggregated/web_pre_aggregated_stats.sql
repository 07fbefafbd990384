-- A day's page views by hour and dimension, into staging. A session with k paths has k rows here.
-- Grain   one row per team, hour of the session's start and combination of dimensions
-- Reads   the staged sessions, and once more the page views and screens of [day - 1, day + 2)
INSERT INTO $staging
(
    period_bucket, team_id, host, device_type, pathname, entry_pathname, end_pathname, browser, os,
    viewport_width, viewport_height, referring_domain, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
    country_code, city_name, region_code, region_name, has_gclid, has_gad_source_paid_search, has_fbclid,
    persons_uniq_state, sessions_uniq_state, pageviews_count_state
)
WITH
    delivered AS
    (
        SELECT *, qualifies
        FROM events
        WHERE
            timestamp >= toDateTime64({day:Date} - 1, 6, 'UTC')
            AND timestamp < toDateTime64({day:Date} + 2, 6, 'UTC')
            AND team_id IN {teams:Array(UInt64)}
    ),
    deduplicated AS
    (
        SELECT *
        FROM delivered
        WHERE cityHash64(team_id, uuid) NOT IN (SELECT hash FROM $duplicates)
        UNION ALL
        SELECT *
        FROM delivered
        WHERE cityHash64(team_id, uuid) IN (SELECT hash FROM $duplicates)
        ORDER BY
            inserted_at DESC, timestamp DESC, session_id DESC, event DESC, person_id DESC, pathname DESC, host DESC,
            device_type DESC, browser DESC, os DESC, viewport_width DESC, viewport_height DESC, country_code DESC,
            city_name DESC, region_code DESC, region_name DESC, referring_domain DESC, utm_source DESC,
            utm_medium DESC, utm_campaign DESC, utm_term DESC, utm_content DESC, gclid DESC, gad_source DESC,
            fbclid DESC
        LIMIT 1 BY team_id, uuid
    )
SELECT
    toDateTime(toStartOfHour(session.began), 'UTC') AS period_bucket,
    pageview.team_id AS team_id,
    pageview.host AS host,
    pageview.device_type AS device_type,
    pageview.pathname AS pathname,
    session.first_pageview.3 AS entry_pathname,
    session.end_pathname AS end_pathname,
    pageview.browser AS browser,
    pageview.os AS os,
    pageview.viewport_width AS viewport_width,
    pageview.viewport_height AS viewport_height,
    session.referring_domain AS referring_domain,
    session.utm_source AS utm_source,
    session.utm_medium AS utm_medium,
    session.utm_campaign AS utm_campaign,
    session.utm_term AS utm_term,
    session.utm_content AS utm_content,
    pageview.country_code AS country_code,
    pageview.city_name AS city_name,
    pageview.region_code AS region_code,
    pageview.region_name AS region_name,
    session.has_gclid AS has_gclid,
    session.has_gad_source_paid_search AS has_gad_source_paid_search,
    session.has_fbclid AS has_fbclid,
    uniqState(pageview.person_id) AS persons_uniq_state,
    uniqState(pageview.session_id) AS sessions_uniq_state,
    sumState(toUInt64(1)) AS pageviews_count_state
FROM deduplicated AS pageview
INNER JOIN $sessions AS session
    ON pageview.team_id = session.team_id AND pageview.session_id = session.session_id
WHERE pageview.qualifies AND session.uncounted = 0
GROUP BY ALL
