-- The works, newest first; an empty subject, status or kind stands for any.
-- Grain   one row per work
-- Reads   all events
SELECT
    work_id, kind, subject, first_step, last_step, status, rows, started_at, completed_at, requested_by, reason, run_id
FROM web_analytics_work_log
WHERE
    ({subject:String} = '' OR subject = {subject:String})
    AND ({status:String} = '' OR status = {status:String})
    AND ({kind:String} = '' OR kind = {kind:String})
ORDER BY started_at DESC
LIMIT {limit:UInt32}
