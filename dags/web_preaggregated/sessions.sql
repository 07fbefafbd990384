-- The sessions that begin on the days of [start, end) and have a page view or screen: everything that both tables say
-- of a session, its page views included, in order. Those that `unusual` says are large are left to large_sessions.sql.
-- Grain   one row per (day, team, session)
-- Reads   those teams' events: once those of the days themselves, and once of [start - 1, end + 1) the few that were
--         delivered more than once or whose sessions were delivered on several days
-- A session begins on a day on which it has an event and on the day before none, and counts there with its events of
-- that day and the next. So of one that goes on day after day no build counts what comes from the third day on, and one
-- that is silent for a whole day begins again, as another session. Trackers end a session after 24 hours: neither
-- happens to theirs. What is seen of the former, the events of the day after in sessions that began before the day, is
-- `uncounted`, in a row of its own for each such session: such rows are there to be reported, and only they have any.
-- Each day is counted from its own [day - 1, day + 2), so that it does not matter which others are counted with it. Of
-- a session that lies within one day, and whose events were delivered once, all of that window is its own day.
-- Of deliveries with the same uuid the newest counts; instants that are equal are ordered by uuid. Deliveries on days
-- that are two or more apart are never seen together by a day that counts them: such an event counts twice.
-- `persons` is filled in by large_sessions.sql alone: here they are in the views.
-- In the order of teams, the first of both tables' keys: sorting what is staged from it costs less than it does.
-- What aggregates answer has lost its dictionaries. Both tables are staged in a fifth less CPU for having them again;
-- toString takes whatever type a column of `events` has, and leaves NULL.
-- `hash` is of what a session says of each of its page views, the last of a view is of what that says itself: rows of
-- the tables whose keys are equal have equal hashes.
CREATE TABLE $sessions
ENGINE = MergeTree
PARTITION BY day
ORDER BY team_id
AS
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
        SELECT *, own_day AS day
        FROM delivered
        WHERE
            session_id != ''
            AND own_day >= {start:Date}
            AND own_day < {end:Date}
            AND session_hash NOT IN (SELECT hash FROM $unusual)
            AND event_hash NOT IN (SELECT hash FROM $duplicates)
        UNION ALL
        SELECT *
        FROM
        (
            SELECT *, own_day + shift AS day
            FROM
            (
                SELECT *
                FROM delivered
                WHERE
                    session_hash IN (SELECT hash FROM $unusual WHERE NOT is_large)
                    OR event_hash IN (SELECT hash FROM $duplicates)
            )
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
        WHERE session_id != '' AND session_hash NOT IN (SELECT hash FROM $unusual WHERE is_large)
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
    )
SELECT
    day,
    team_id,
    session_id,
    min(timestamp) AS began,
    dateDiff('microsecond', began, max(timestamp)) AS lasted_microseconds,
    countIf(qualifies) AS pageviews,
    countIf(event = '$$autocapture') AS autocaptures,
    arrayMap(
        view -> tuple(
            toLowCardinality(toString(view.1)), toLowCardinality(toString(view.2)), view.3,
            toLowCardinality(toString(view.4)), toLowCardinality(toString(view.5)), view.6, view.7,
            toLowCardinality(toString(view.8)), toLowCardinality(toString(view.9)),
            toLowCardinality(toString(view.10)), toLowCardinality(toString(view.11)), view.12, view.13
        ),
        arraySort(groupArrayIf(tuple(position, pageview), qualifies)).2
    ) AS views,
    views.3[1] AS entry_pathname,
    views.3[-1] AS end_pathname,
    arrayResize(views.12, 0) AS persons,
    toLowCardinality(argMinIf(referring_domain, position, referring_domain != '')) AS referring_domain,
    toLowCardinality(argMinIf(utm_source, position, utm_source != '')) AS utm_source,
    toLowCardinality(argMinIf(utm_medium, position, utm_medium != '')) AS utm_medium,
    toLowCardinality(argMinIf(utm_campaign, position, utm_campaign != '')) AS utm_campaign,
    toLowCardinality(argMinIf(utm_term, position, utm_term != '')) AS utm_term,
    toLowCardinality(argMinIf(utm_content, position, utm_content != '')) AS utm_content,
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
