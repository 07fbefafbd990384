-- The truth about some units, named by two arrays of equal length, from their own events: the sessions that begin on
-- the day and have a page view or screen, and how many of these. The same rule as sessions.sql of the build; a test
-- holds the two together.
-- Grain   one row per unit with an event within reach; the last column is how many of these were read, by which an
--         answer that was cut short gives itself away
-- Reads   those teams' events of the days and their neighbours, once
-- Each unit is counted from its own [day - 1, day + 2), so that it does not matter which others are asked with it.
-- Of deliveries with the same uuid the newest counts.
WITH
    deduplicated AS
    (
        SELECT
            toDate(toDate(timestamp) + shift) AS unit_day,
            team_id,
            argMax(
                tuple(session_id, timestamp, qualifies),
                tuple(inserted_at, timestamp, session_id, event)
            ) AS newest,
            count() AS deliveries
        FROM events
        ARRAY JOIN [-1, 0, 1] AS shift
        WHERE
            timestamp >= toDateTime64(arrayMin({days:Array(Date)}) - 1, 6, 'UTC')
            AND timestamp < toDateTime64(arrayMax({days:Array(Date)}) + 2, 6, 'UTC')
            AND team_id IN {teams:Array(UInt64)}
            AND (unit_day, team_id) IN arrayZip({days:Array(Date)}, {teams:Array(UInt64)})
        GROUP BY unit_day, team_id, uuid
    ),
    sessions AS
    (
        SELECT
            unit_day,
            team_id,
            newest.1 AS session_id,
            countIf(newest.3) AS pageviews,
            session_id != '' AND toDate(min(newest.2)) = unit_day AND pageviews > 0 AS counts,
            sum(deliveries) AS events_read
        FROM deduplicated
        GROUP BY unit_day, team_id, session_id
    )
SELECT
    unit_day,
    team_id,
    uniqIf(session_id, counts) AS sessions,
    sumIf(pageviews, counts) AS pageviews,
    sum(events_read) AS events_read
FROM sessions
GROUP BY unit_day, team_id
