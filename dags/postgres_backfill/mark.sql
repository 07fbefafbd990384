-- Up to where incremental loads of a table have come, of those with the same filters that were completed. Of one that was
-- cancelled in the very moment in which it ended, no row is there.
-- Grain   one row: how many have ended, and the mark of the last of these, which may have started over
-- Reads   the log of this kind of work
SELECT count(), argMax(toInt64OrZero(payload), at)
FROM web_analytics_work_events
WHERE
    kind = 'postgres'
    AND event = 'load_marked'
    AND subject = {subject:String}
    AND name = {name:String}
    AND work_id IN
    (
        SELECT work_id
        FROM web_analytics_work_events
        WHERE kind = 'postgres'
        GROUP BY work_id
        HAVING countIf(status = 'completed') > 0 AND countIf(status = 'cancelled') = 0
    )
