-- Sessions that are too large to be put together in memory, as of a tracker that gives every visitor the same one: as in
-- sessions.sql, but for the page views: those after the first follow their session, each in a row of its own.
-- Grain   one row per (day, team, session), with the first of its views; and one per other page view of those that
--         count, with that one view, and 0 `pageviews`: the row of the session has counted it
-- Reads   those teams' events of [start - 1, end + 1), four times; run only where there are such sessions
-- A million persons beside each page view of theirs would be too much: the row of the session alone has them. Blocks
-- are small, and the sessions are the side of the join that is kept in memory, for the same reason.
INSERT INTO $sessions
(
    day, team_id, session_id, began, lasted_microseconds, pageviews, autocaptures, views, entry_pathname, end_pathname,
    persons, referring_domain, utm_source, utm_medium, utm_campaign, utm_term, utm_content, has_gclid,
    has_gad_source_paid_search, has_fbclid, uncounted, hash
)
WITH
    delivered AS
    (
        SELECT
            -- By name, and not all of them: one of the user's own that is called as something below would take its place.
            team_id, uuid, event, timestamp, session_id, person_id, inserted_at, pathname, host, device_type, browser,
            os, viewport_width, viewport_height, country_code, city_name, region_code, region_name,
            -- Of what is no text, as an Enum, an aggregate over nothing answers not the empty one but the first.
            toString(referring_domain) AS referring_domain,
            toString(utm_source) AS utm_source,
            toString(utm_medium) AS utm_medium,
            toString(utm_campaign) AS utm_campaign,
            toString(utm_term) AS utm_term,
            toString(utm_content) AS utm_content,
            toString(gclid) AS gclid,
            toString(gad_source) AS gad_source,
            toString(fbclid) AS fbclid,
            qualifies,
            toDate(timestamp) AS own_day,
            cityHash64(team_id, uuid) AS event_hash,
            cityHash64(team_id, session_id) AS session_hash
        FROM events
        WHERE
            timestamp >= toDateTime64({start:Date} - 1, 6, 'UTC')
            AND timestamp < toDateTime64({end:Date} + 1, 6, 'UTC')
            AND team_id IN {teams:Array(UInt64)}
    ),
    counted AS
    (
        SELECT *, own_day + shift AS day
        FROM
        (
            SELECT *
            FROM delivered
            WHERE
                session_hash IN (SELECT hash FROM $unusual WHERE is_large)
                AND event_hash NOT IN (SELECT hash FROM $duplicates)
        )
        ARRAY JOIN [-1, 0, 1] AS shift
        WHERE day >= {start:Date} AND day < {end:Date}
        UNION ALL
        SELECT *
        FROM
        (
            SELECT *, own_day + shift AS day
            FROM (SELECT * FROM delivered WHERE event_hash IN (SELECT hash FROM $duplicates))
            ARRAY JOIN [-1, 0, 1] AS shift
            WHERE day >= {start:Date} AND day < {end:Date}
            ORDER BY
                inserted_at DESC,
                tuple(
                    timestamp, session_id, event, person_id, pathname, host, device_type, browser, os, viewport_width,
                    viewport_height, country_code, city_name, region_code, region_name, referring_domain, utm_source,
                    utm_medium, utm_campaign, utm_term, utm_content, gclid, gad_source, fbclid
                ) DESC
            LIMIT 1 BY day, team_id, uuid
        )
        WHERE session_hash IN (SELECT hash FROM $unusual WHERE is_large)
    ),
    -- One comparable number for (timestamp, uuid): several times as fast as the pair.
    ordered AS
    (
        SELECT
            *,
            bitOr(
                bitShiftLeft(toUInt256(toUnixTimestamp64Micro(timestamp)), 128),
                toUInt256(toUInt128(uuid))
            ) AS position,
            tuple(
                host, device_type, pathname, browser, os, viewport_width, viewport_height,
                country_code, city_name, region_code, region_name, person_id,
                cityHash64(tuple(
                    host, device_type, pathname, browser, os, viewport_width, viewport_height,
                    country_code, city_name, region_code, region_name
                ))
            ) AS pageview
        FROM counted
        -- None of `unusual` is without a name, but for a collision.
        WHERE session_id != ''
    ),
    large AS
    (
        SELECT
            day,
            team_id,
            session_id,
            min(timestamp) AS began,
            dateDiff('microsecond', began, max(timestamp)) AS lasted_microseconds,
            countIf(qualifies) AS pageviews,
            countIf(event = '$$autocapture') AS autocaptures,
            minIf(position, qualifies) AS first_position,
            [argMinIf(pageview, position, qualifies)] AS views,
            views.3[1] AS entry_pathname,
            argMaxIf(tuple(pathname), position, qualifies).1 AS end_pathname,  -- an aggregate passes over NULL
            groupUniqArrayIf(person_id, qualifies) AS persons,
            argMinIf(referring_domain, position, referring_domain != '') AS referring_domain,
            argMinIf(utm_source, position, utm_source != '') AS utm_source,
            argMinIf(utm_medium, position, utm_medium != '') AS utm_medium,
            argMinIf(utm_campaign, position, utm_campaign != '') AS utm_campaign,
            argMinIf(utm_term, position, utm_term != '') AS utm_term,
            argMinIf(utm_content, position, utm_content != '') AS utm_content,
            countIf(gclid != '') > 0 AS has_gclid,
            argMinIf(gad_source, position, gad_source != '') = '1' AS has_gad_source_paid_search,
            countIf(fbclid != '') > 0 AS has_fbclid,
            if(
                toDate(began) < day
                AND sum(own_day >= day) > sum(own_day > day),
                sum(own_day > day),
                0
            ) AS uncounted,
            cityHash64(tuple(
                toStartOfHour(began), team_id, entry_pathname, end_pathname, referring_domain, utm_source, utm_medium,
                utm_campaign, utm_term, utm_content, has_gclid, has_gad_source_paid_search, has_fbclid
            )) AS hash
        FROM ordered
        GROUP BY day, team_id, session_id
        HAVING pageviews > 0 AND (toDate(began) = day OR uncounted > 0)
    )
SELECT * EXCEPT (first_position)
FROM large
UNION ALL
SELECT session.* EXCEPT (first_position) REPLACE (toUInt64(0) AS pageviews, [ordered.pageview] AS views)
FROM ordered
INNER JOIN (SELECT * REPLACE (arrayResize(persons, 0) AS persons) FROM large) AS session
    ON ordered.day = session.day AND ordered.team_id = session.team_id AND ordered.session_id = session.session_id
WHERE ordered.qualifies AND ordered.position != session.first_position AND session.uncounted = 0
SETTINGS min_insert_block_size_rows = 65536, min_insert_block_size_bytes = 0, query_plan_join_swap_table = 'false'
