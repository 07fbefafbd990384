-- What was asked of works while a run was at work, and was not carried out yet: that run died, or is at it.
-- A cancel is never overruled; a pause is, by the next run that begins.
-- Grain   one row per such work
-- Reads   the events of one work, or of all where the id is empty
SELECT
    work_id,
    multiIf(
        countIf(event = 'control' AND name = 'cancelled') > 0, 'cancelled',
        maxIf(at, event = 'control') > maxIf(at, event IN ('started', 'ended')), 'paused',
        ''
    ) AS asked
FROM web_analytics_work_events
WHERE event IN ('control', 'started', 'ended') AND ({work_id:String} = '' OR work_id = {work_id:String})
GROUP BY work_id
HAVING asked != ''
