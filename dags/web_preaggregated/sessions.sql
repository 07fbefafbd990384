-- The sessions that begin on a day and have a page view or screen: everything that both tables say of a session.
-- Grain   one row per (team, session)
-- Reads   those teams' events of [day - 1, day + 2): a session may begin a day before its page views and end a day
--         after.
-- A session begins on a day on which it has an event and on the day before none, and counts there with its events of
-- that day and the next. So of one that goes on day after day no build counts what comes from the third day on, and one
-- that is silent for a whole day begins again, as another session. Trackers end a session after 24 hours: neither
-- happens to theirs. What this build sees of the former, the events of the day after in sessions that began before the
-- day, is `uncounted`, in a row of its own for each such session: such rows are there to be reported, and only they
-- have any.
-- Of deliveries with the same uuid the newest counts; instants that are equal are ordered by uuid. Deliveries on days
-- that are two or more apart are never seen together by the builds that count them: such an event counts twice.
CREATE TABLE $sessions
ENGINE = MergeTree
ORDER BY tuple()
AS
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
    ),
    -- One comparable number for (timestamp, uuid): several times as fast as the pair.
    ordered AS
    (
        SELECT
            *,
            bitOr(
                bitShiftLeft(toUInt256(toUnixTimestamp64Micro(timestamp)), 128),
                toUInt256(toUInt128(uuid))
            ) AS position
        FROM deduplicated
        WHERE session_id != ''
    )
SELECT
    team_id,
    session_id,
    min(timestamp) AS began,
    dateDiff('microsecond', began, max(timestamp)) AS lasted_microseconds,
    countIf(qualifies) AS pageviews,
    countIf(event = '$$autocapture') AS autocaptures,
    groupUniqArrayIf(person_id, qualifies) AS persons,
    argMinIf(
        tuple(
            host, device_type, pathname, browser, os, viewport_width, viewport_height,
            country_code, city_name, region_code, region_name
        ),
        position,
        qualifies
    ) AS first_pageview,
    argMaxIf(pathname, position, qualifies) AS end_pathname,
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
        toDate(began) < {day:Date}
        AND sum(timestamp >= toDateTime64({day:Date}, 6, 'UTC'))
            > sum(timestamp >= toDateTime64({day:Date} + 1, 6, 'UTC')),
        sum(timestamp >= toDateTime64({day:Date} + 1, 6, 'UTC')),
        0
    ) AS uncounted
FROM ordered
GROUP BY team_id, session_id
HAVING pageviews > 0 AND (toDate(began) = {day:Date} OR uncounted > 0)
