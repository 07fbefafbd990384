-- The truth about some units of a day, from their own events: the sessions that begin on the day and have a page view
-- or screen, and how many of these. The same rule as sessions.sql of the build; a test holds the two together.
-- Grain   one row per team with such a session
-- Reads   those teams' events of [day - 1, day + 2)
WITH
    delivered AS
    (
        SELECT team_id, uuid, timestamp, session_id, event, qualifies, inserted_at
        FROM events
        WHERE
            timestamp >= toDateTime64({day:Date} - 1, 6, 'UTC')
            AND timestamp < toDateTime64({day:Date} + 2, 6, 'UTC')
            AND team_id IN {teams:Array(UInt64)}
    ),
    duplicated AS
    (
        SELECT cityHash64(team_id, uuid) AS hash
        FROM delivered
        GROUP BY hash
        HAVING count() > 1
    ),
    deduplicated AS
    (
        SELECT *
        FROM delivered
        WHERE cityHash64(team_id, uuid) NOT IN duplicated
        UNION ALL
        SELECT *
        FROM delivered
        WHERE cityHash64(team_id, uuid) IN duplicated
        ORDER BY inserted_at DESC, timestamp DESC, session_id DESC, event DESC
        LIMIT 1 BY team_id, uuid
    ),
    sessions AS
    (
        SELECT team_id, session_id, min(timestamp) AS began, countIf(qualifies) AS pageviews
        FROM deduplicated
        WHERE session_id != ''
        GROUP BY team_id, session_id
        HAVING toDate(began) = {day:Date} AND pageviews > 0
    )
SELECT team_id, uniq(session_id) AS sessions, sum(pageviews) AS pageviews
FROM sessions
GROUP BY team_id
