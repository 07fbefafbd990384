-- Everything that is in the tables is the demo's: it emptied them, and nobody else has had the engine since.
-- Reads   all events, of which the team, the time and the uuid
INSERT INTO web_analytics_demo (team_id, day, events, digest)
SELECT
    team_id,
    toDate(timestamp) AS day,
    count() AS events,
    sum(cityHash64(uuid)) AS digest
FROM events
GROUP BY
    team_id,
    day
UNION ALL
SELECT DISTINCT
    team_id,
    toDate(0) AS day,
    0 AS events,
    0 AS digest
FROM web_pre_aggregated_teams
