-- What the events of a day and its two neighbours amount to, by team: how large a build will be, and the
-- fingerprint by which a later detection sees that something has arrived since.
-- Grain   one row per team asked for with an event in [day - 1, day + 2)
-- Reads   the coverage projection of events, three days
-- Cost    teams × 3
SELECT
    team_id,
    count() AS source_events,
    sum(qualifies) AS source_qualifying,
    max(inserted_at) AS source_newest
FROM events
WHERE
    toDate(timestamp) >= {day:Date} - 1
    AND toDate(timestamp) <= {day:Date} + 1
    AND team_id IN {teams:Array(UInt64)}
GROUP BY team_id
SETTINGS optimize_time_filter_with_preimage = 0
