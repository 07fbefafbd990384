-- What works of a kind did to a step, with who had that run do it, and why.
-- Grain   one row per event of the step among those asked for, in order
-- Reads   all events
SELECT
    changed.work_id,
    changed.subject,
    changed.event,
    changed.rows,
    changed.run_id,
    changed.at,
    if(asked.by_whom = '', accepted.by_whom, asked.by_whom) AS asked_by,
    if(asked.by_whom = '', accepted.why, asked.why) AS asked_why
FROM web_analytics_work_events AS changed
INNER JOIN
(
    SELECT work_id, argMin(requested_by, at) AS by_whom, argMin(reason, at) AS why
    FROM web_analytics_work_events
    WHERE event = 'accepted' AND kind = {kind:String}
    GROUP BY work_id
) AS accepted
    ON accepted.work_id = changed.work_id
LEFT JOIN
(
    SELECT work_id, run_id, argMax(requested_by, at) AS by_whom, argMax(reason, at) AS why
    FROM web_analytics_work_events
    WHERE event = 'started' AND requested_by != ''
    GROUP BY work_id, run_id
) AS asked
    ON asked.work_id = changed.work_id AND asked.run_id = changed.run_id
WHERE changed.step = {step:String} AND has({events:Array(String)}, changed.event)
ORDER BY changed.at
