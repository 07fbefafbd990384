-- The truth about some units, named by two arrays of equal length, from their own events: the sessions that begin on
-- the day and have a page view or screen, and how many of these. The same rule as sessions.sql of the build; a test
-- holds the two together.
-- Grain   one row per unit with such a session
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
            ) AS newest
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
        SELECT unit_day, team_id, newest.1 AS session_id, min(newest.2) AS began, countIf(newest.3) AS pageviews
        FROM deduplicated
        WHERE session_id != ''
        GROUP BY unit_day, team_id, session_id
        HAVING toDate(began) = unit_day AND pageviews > 0
    )
SELECT unit_day, team_id, uniq(session_id) AS sessions, sum(pageviews) AS pageviews
FROM sessions
GROUP BY unit_day, team_id
