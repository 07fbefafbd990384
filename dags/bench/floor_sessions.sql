-- The least that sessions can cost: those of a day's events grouped by their names, with when they began and ended and
-- what they count, and written down.
CREATE TABLE $sessions
ENGINE = MergeTree
ORDER BY tuple()
AS
SELECT
    team_id,
    session_id,
    min(timestamp) AS began,
    max(timestamp) AS ended,
    countIf(qualifies) AS pageviews,
    countIf(event = '$$autocapture') AS autocaptures
FROM events
WHERE
    timestamp >= toDateTime64({day:Date}, 6, 'UTC')
    AND timestamp < toDateTime64({day:Date} + 1, 6, 'UTC')
    AND team_id IN {teams:Array(UInt64)}
    AND session_id != ''
GROUP BY team_id, session_id
