-- Gaps that opened and closed, by table and week, and how long repairs took, for dashboards.
-- Grain   one row per table and week in which a gap of it opened or closed
-- week    the Monday of the ISO week in UTC: of the opening for `opened`, of the closing for all else
-- repaired: closed by a build, having awaited no person's word. median_hours, p90_hours: of these, from first seen wrong to
-- seen right, between two of them in proportion; NULL where there is none
-- Reads   as web_analytics_gap_log
CREATE OR REPLACE VIEW web_analytics_gaps_by_week
AS
SELECT
    toMonday(event.at) AS week,
    table_name,
    countIf(event.name = 'opened') AS opened,
    countIf(event.name = 'closed') AS closed,
    countIf(event.name = 'closed' AND closed_by = 'build' AND NOT is_held) AS repaired,
    countIf(event.name = 'closed' AND closed_by = 'waiver') AS waived,
    quantileExactInclusiveOrNullIf(0.5)(assumeNotNull(hours), event.name = 'closed' AND closed_by = 'build' AND NOT is_held) AS median_hours,
    quantileExactInclusiveOrNullIf(0.9)(assumeNotNull(hours), event.name = 'closed' AND closed_by = 'build' AND NOT is_held) AS p90_hours
FROM web_analytics_gap_log
ARRAY JOIN
    arrayFilter(
        one -> one.at IS NOT NULL,
        [
            CAST(('opened', opened_at), 'Tuple(name String, at Nullable(DateTime64(6, \'UTC\')))'),
            CAST(('closed', closed_at), 'Tuple(name String, at Nullable(DateTime64(6, \'UTC\')))')
        ]
    ) AS event
GROUP BY week, table_name
