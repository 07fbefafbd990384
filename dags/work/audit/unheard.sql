-- What was asked of backfills while a run was at work, and was not carried out yet: that run died, or is at it.
-- A cancel is never overruled; a pause is, by the next run that begins.
-- Grain   one row per such backfill
-- Reads   the events of one backfill, or of all where the id is empty
SELECT
    backfill_id,
    multiIf(
        countIf(event = 'control' AND name = 'cancelled') > 0, 'cancelled',
        maxIf(at, event = 'control') > maxIf(at, event IN ('started', 'ended')), 'paused',
        ''
    ) AS asked
FROM web_analytics_backfill_events
WHERE event IN ('control', 'started', 'ended') AND ({backfill_id:String} = '' OR backfill_id = {backfill_id:String})
GROUP BY backfill_id
HAVING asked != ''
