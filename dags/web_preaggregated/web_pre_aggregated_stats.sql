-- A day's page views by hour and dimension, into staging. A session with k paths has k rows here.
-- Grain   one row per team, hour of the session's start and combination of dimensions
-- Reads   the staged sessions of the day alone, with their page views
-- Most keys occur once. Their states are made as they are; only page views whose keys are `alike`, by their hashes, are
-- grouped, which is the most expensive part of a build where it is done to all of them. Keys whose hashes collide are
-- grouped too, apart.
INSERT INTO $staging
(
    period_bucket, team_id, host, device_type, pathname, entry_pathname, end_pathname, browser, os,
    viewport_width, viewport_height, referring_domain, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
    country_code, city_name, region_code, region_name, has_gclid, has_gad_source_paid_search, has_fbclid,
    persons_uniq_state, sessions_uniq_state, pageviews_count_state
)
WITH
    shown AS
    (
        SELECT
            toDateTime(toStartOfHour(began), 'UTC') AS period_bucket,
            team_id,
            view.1 AS host,
            view.2 AS device_type,
            view.3 AS pathname,
            entry_pathname,
            end_pathname,
            view.4 AS browser,
            view.5 AS os,
            view.6 AS viewport_width,
            view.7 AS viewport_height,
            referring_domain,
            utm_source,
            utm_medium,
            utm_campaign,
            utm_term,
            utm_content,
            view.8 AS country_code,
            view.9 AS city_name,
            view.10 AS region_code,
            view.11 AS region_name,
            has_gclid,
            has_gad_source_paid_search,
            has_fbclid,
            view.12 AS person_id,
            session_id,
            cityHash64(hash, view.13) AS key_hash
        FROM $sessions
        ARRAY JOIN views AS view
        WHERE day = {day:Date} AND uncounted = 0
    )
SELECT
    * EXCEPT (person_id, session_id, key_hash),
    initializeAggregation('uniqState', person_id) AS persons_uniq_state,
    initializeAggregation('uniqState', session_id) AS sessions_uniq_state,
    initializeAggregation('sumState', toUInt64(1)) AS pageviews_count_state
FROM shown
WHERE key_hash NOT IN (SELECT key_hash FROM $alike)
UNION ALL
SELECT
    * EXCEPT (person_id, session_id, key_hash),
    uniqState(person_id) AS persons_uniq_state,
    uniqState(session_id) AS sessions_uniq_state,
    sumState(toUInt64(1)) AS pageviews_count_state
FROM shown
WHERE key_hash IN (SELECT key_hash FROM $alike)
GROUP BY ALL
