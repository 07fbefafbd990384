-- Requests for backfills from PostgreSQL, newest first.
-- Grain   one row a request
-- Reads   the log of this kind of work
SELECT id, pipeline, source, table_name, filter_sql, status, count_record, created_at, updated_at
FROM queue_backfill_data
WHERE {pipeline:String} IN ('', pipeline)
ORDER BY created_at DESC, id
