-- The works, newest first, each as it was accepted; an empty subject, and no kind or status at all, stand for any.
-- Grain   one row per work that was accepted
-- Reads   all events
SELECT
    work_id, kind, subject, first_step, last_step, status, rows, started_at, completed_at, requested_by, reason, run_id
FROM web_analytics_work_log
WHERE
    isNotNull(accepted_at)
    AND ({subject:String} = '' OR subject = {subject:String})
    AND (empty({kinds:Array(String)}) OR has({kinds:Array(String)}, kind))
    AND (empty({statuses:Array(String)}) OR has({statuses:Array(String)}, status))
ORDER BY started_at DESC
