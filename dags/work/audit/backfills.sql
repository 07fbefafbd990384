-- The backfills, newest first; an empty table, status or origin stands for any.
-- Grain   one row per backfill
-- Reads   all events
SELECT
    backfill_id, table_name, start_date, end_date, status, rows_affected, started_at, completed_at, origin,
    requested_by, reason, run_id
FROM backfill_log
WHERE
    ({table:String} = '' OR table_name = {table:String})
    AND ({status:String} = '' OR status = {status:String})
    AND ({origin:String} = '' OR origin = {origin:String})
ORDER BY started_at DESC
LIMIT {limit:UInt32}
