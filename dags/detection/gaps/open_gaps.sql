-- The gaps that are open: opened, and not over since. Of two who saw the same gap first at one moment the earlier counts.
-- Grain   one row per table, day and whether its units await a person's word
-- Reads   every event: a few per day that was ever wrong
SELECT table_name, day, is_held, arrayMin(arrayFilter(one -> one > over_at, opened)) AS since
FROM
(
    SELECT
        table_name,
        day,
        is_held,
        groupArrayIf(at, event = 'opened') AS opened,
        maxIf(at, event != 'opened') AS over_at
    FROM web_analytics_gaps
    GROUP BY table_name, day, is_held
)
WHERE arrayExists(one -> one > over_at, opened)
