-- The works, newest first, each as it was accepted; an empty subject, and no kind or status at all, stand for any.
-- Grain   one row per work that was accepted
-- Reads   all events; and those by which works were accepted, for what other rows say of a work may be by hand
SELECT
    log.work_id, log.kind, accepted.subject, accepted.first_step, accepted.last_step, log.status, log.rows,
    log.started_at, log.completed_at, log.requested_by, log.reason, log.run_id
FROM web_analytics_work_log AS log
INNER JOIN
(
    SELECT
        work_id,
        argMin(subject, at) AS subject,
        argMin(first_step, at) AS first_step,
        argMin(last_step, at) AS last_step
    FROM web_analytics_work_events
    WHERE event = 'accepted'
    GROUP BY work_id
) AS accepted
    ON accepted.work_id = log.work_id
WHERE
    ({subject:String} = '' OR accepted.subject = {subject:String})
    AND (empty({kinds:Array(String)}) OR has({kinds:Array(String)}, log.kind))
    AND (empty({statuses:Array(String)}) OR has({statuses:Array(String)}, log.status))
ORDER BY log.started_at DESC
