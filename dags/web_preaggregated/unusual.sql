-- Which sessions are not of the usual kind, as hashes: few, so that the rest can be put together from their own day
-- alone, and carry their page views with them. Deliveries are counted, not events, and sessions whose hashes collide
-- are taken for one: that only sends more of them the slower way, which is exact.
-- Grain   one row per hash of (team, session) that is delivered on several days of [start - 1, end + 1), `spans`, or
--         more than {large:UInt64} times, `is_large`
-- Reads   team_id, session_id and timestamp of those teams' events of these days
CREATE TABLE $unusual
ENGINE = MergeTree
ORDER BY hash
AS
SELECT
    cityHash64(team_id, session_id) AS hash,
    min(toDate(timestamp)) != max(toDate(timestamp)) AS spans,
    count() > {large:UInt64} AS is_large
FROM events
WHERE
    timestamp >= toDateTime64({start:Date} - 1, 6, 'UTC')
    AND timestamp < toDateTime64({end:Date} + 1, 6, 'UTC')
    AND team_id IN {teams:Array(UInt64)}
    AND session_id != ''
GROUP BY hash
HAVING spans OR is_large
