-- The least that a rebuild of one team of a day can read: each of its events of the days whose sessions can be of the
-- day, once, with all columns.
-- Grain   one row
-- Reads   events, the granules that hold the team's rows
SELECT count() AS events, sum(cityHash64(*)) AS digest
FROM events
WHERE
    timestamp >= toDateTime64({day:Date} - 1, 6, 'UTC')
    AND timestamp < toDateTime64({day:Date} + 2, 6, 'UTC')
    AND team_id = {team:UInt64}
