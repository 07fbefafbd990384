-- Which events were delivered more than once, as hashes: few, so that the rest need no deduplication. Two events
-- whose hashes collide only take the slower way, which is exact.
-- Grain   one row per hash of (team, uuid) that occurs more than once in [start - 1, end + 1)
-- Reads   team_id and uuid of those teams' events of these days
CREATE TABLE $duplicates
ENGINE = MergeTree
ORDER BY hash
AS
SELECT cityHash64(team_id, uuid) AS hash
FROM events
WHERE
    timestamp >= toDateTime64({start:Date} - 1, 6, 'UTC')
    AND timestamp < toDateTime64({end:Date} + 1, 6, 'UTC')
    AND team_id IN {teams:Array(UInt64)}
GROUP BY hash
HAVING count() > 1
