-- Every gap: a (table, day) from the evaluation that first found units of it wrong to the one that found none.
-- Grain   one row per gap; a day that breaks again after it was repaired has one more, and units that await a person's
--         word are one by themselves
-- units, reason: how many were wrong when it was opened, and why most of them. closed_at: NULL while it is open. left_at:
-- when its day lay before the look-back, unrepaired; then nobody judges it, and closed_at stays NULL. closed_by: build,
-- waiver or other, see 0059; unknown of one that closed before that was recorded; empty where it did not close.
-- hours: its age when it closed, from first seen wrong to seen right; NULL where it did not close
-- Reads   all events of gaps, two a gap
CREATE OR REPLACE VIEW web_analytics_gap_log
AS
SELECT
    table_name,
    day,
    is_held,
    minIf(at, event = 'opened') AS opened_at,
    if(argMinIf(event, at, event != 'opened') = 'closed', minOrNullIf(at, event != 'opened'), NULL) AS closed_at,
    if(argMinIf(event, at, event != 'opened') = 'left', minOrNullIf(at, event != 'opened'), NULL) AS left_at,
    argMinIf(gap_units, at, event = 'opened') AS units,
    argMinIf(gap_reason, at, event = 'opened') AS reason,
    argMinIf(by_what, at, event != 'opened') AS closed_by,
    dateDiff('microsecond', opened_at, closed_at) / 3600000000 AS hours
FROM
(
    SELECT
        *,
        -- Two who look at once may both say so: of either the first counts.
        sum(event = 'opened' AND event_before != 'opened') OVER (
            PARTITION BY table_name, day, is_held ORDER BY at, event != 'opened' ROWS UNBOUNDED PRECEDING
        ) AS number
    FROM
    (
        SELECT
            toString(table_name) AS table_name,
            day,
            is_held,
            toString(event) AS event,
            units AS gap_units,
            toString(reason) AS gap_reason,
            if(event = 'closed' AND closed_by = '', 'unknown', toString(closed_by)) AS by_what,
            at,
            lagInFrame(toString(event), 1, '') OVER (
                PARTITION BY table_name, day, is_held ORDER BY at, event != 'opened'
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
            ) AS event_before
        FROM web_analytics_gaps
    )
)
WHERE number > 0
GROUP BY table_name, day, is_held, number
