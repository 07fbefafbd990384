-- All events of the teams and days that are not as the demo loaded them: which of those are its own, nobody knows.
-- Grain   one row
-- Reads   all events, of which the team, the time and the uuid
SELECT sum(events)
FROM (
    SELECT
        team_id,
        toDate(timestamp) AS day,
        count() AS events,
        sum(cityHash64(uuid)) AS digest
    FROM $target
    GROUP BY
        team_id,
        day
)
WHERE (team_id, day, events, digest) NOT IN (
    SELECT
        team_id,
        day,
        events,
        digest
    FROM web_analytics_demo
)
