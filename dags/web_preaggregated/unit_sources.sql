-- The truth about some units of a day, from their own events: the sessions that begin on the day and have a page view
-- or screen, and how many of these. The same rule as sessions.sql of the build; a test holds the two together.
-- Grain   one row per team with such a session
-- Reads   those teams' events of [day - 1, day + 2), once
-- Of deliveries with the same uuid the newest counts.
WITH
    deduplicated AS
    (
        SELECT
            team_id,
            argMax(
                tuple(session_id, timestamp, qualifies),
                tuple(inserted_at, timestamp, session_id, event)
            ) AS newest
        FROM events
        WHERE
            timestamp >= toDateTime64({day:Date} - 1, 6, 'UTC')
            AND timestamp < toDateTime64({day:Date} + 2, 6, 'UTC')
            AND team_id IN {teams:Array(UInt64)}
        GROUP BY team_id, uuid
    ),
    sessions AS
    (
        SELECT team_id, newest.1 AS session_id, min(newest.2) AS began, countIf(newest.3) AS pageviews
        FROM deduplicated
        WHERE session_id != ''
        GROUP BY team_id, session_id
        HAVING toDate(began) = {day:Date} AND pageviews > 0
    )
SELECT team_id, uniq(session_id) AS sessions, sum(pageviews) AS pageviews
FROM sessions
GROUP BY team_id
