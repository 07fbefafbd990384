-- Everything that a bounces table says, as one number that does not depend on the order or number of its rows: states
-- are merged by all dimensions and finalized.
-- Grain   one row
SELECT count() AS groups, sum(cityHash64(*)) AS digest
FROM
(
    SELECT
        period_bucket, team_id, host, device_type, entry_pathname, end_pathname, browser, os,
        viewport_width, viewport_height, referring_domain, utm_source, utm_medium, utm_campaign, utm_term,
        utm_content, country_code, city_name, region_code, region_name, has_gclid, has_gad_source_paid_search,
        has_fbclid,
        uniqMerge(persons_uniq_state) AS persons,
        uniqMerge(sessions_uniq_state) AS sessions,
        sumMerge(pageviews_count_state) AS pageviews,
        sumMerge(bounces_count_state) AS bounces,
        sumMerge(total_session_duration_state) AS duration,
        sumMerge(total_session_count_state) AS session_count
    FROM $target
    GROUP BY ALL
)
