-- The gaps that are open, opened and not over since; and the places of those that were over in the last days. Of
-- two who saw the same gap first at one moment the earlier counts.
-- Grain   one row per table, day and whether its units await a person's word; `since` is 1970 of one that is over
-- waived: units of the day that a waiver covered when it was opened
-- Reads   every event: a few per day that was ever wrong
SELECT
    table_name,
    day,
    is_held,
    arrayMin(arrayFilter(one -> one.1 > over_at, opened)).1 AS since,
    arrayMin(arrayFilter(one -> one.1 > over_at, opened)).2 AS waived,
    over_at
FROM
(
    SELECT
        table_name,
        day,
        is_held,
        groupArrayIf((at, waived), event = 'opened') AS opened,
        maxIf(at, event != 'opened') AS over_at
    FROM web_analytics_gaps
    GROUP BY table_name, day, is_held
)
WHERE arrayExists(one -> one.1 > over_at, opened) OR over_at > now64(6) - toIntervalDay({days:UInt8})
