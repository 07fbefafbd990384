-- What the source of a day amounts to, by team, with the days before and after that bear on it: how large a build will
-- be, and the fingerprint by which a later detection sees that something has arrived since; and the day's own rows.
-- Grain   one row per team asked for with a row in [day - reach, day + reach]
-- Reads   the coverage projection of the source, these days
-- Cost    teams × days
SELECT
    toUInt64(team) AS team_id,
    sum(events) AS source_events,
    toUInt64(sum(expected)) AS source_qualifying,
    toDateTime64(max(newest), 6, 'UTC') AS source_newest,
    sumIf(events, source_day = {day:Date}) AS own_events
FROM
(
    SELECT $day AS source_day, $team AS team, count() AS events, $expected AS expected, $newest AS newest
    FROM $source
    WHERE
        $day >= {day:Date} - {reach:UInt8}
        AND $day <= {day:Date} + {reach:UInt8}
        AND $team IN {teams:Array(UInt64)}
    GROUP BY source_day, team
)
GROUP BY team_id
SETTINGS optimize_time_filter_with_preimage = 0
