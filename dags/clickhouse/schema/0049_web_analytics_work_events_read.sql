-- What happened to all work, of any kind: the events as `dags.work` reads and names them, those of before 0.6.0 too.
-- Grain   one row per event
-- kind: managed (a managed backfill), automatic (a build that the planner launched), manual (one that a person did), or
-- another; until 0.6.0 the first event of a work alone had it. subject: what is worked on, such as a table. step: what
-- of it, such as a day; empty where an event is of none. source_rows: what its source holds with the neighbours that
-- bear on it, own_source_rows without them; rows_read: by ClickHouse, 0 where it does not say. payload: the frozen plan
-- of `accepted`, what a gate measured, an error
CREATE OR REPLACE VIEW web_analytics_work_events
AS
SELECT
    kept.backfill_id AS work_id,
    kept.origin AS kind,
    kept.table_name AS subject,
    if(kept.first_step = '' AND kept.start_date != toDate(0), toString(kept.start_date), kept.first_step) AS first_step,
    if(kept.last_step = '' AND kept.end_date != toDate(0), toString(kept.end_date), kept.last_step) AS last_step,
    transform(
        toString(kept.event),
        ['day_done', 'day_failed', 'day_restored'],
        ['step_done', 'step_failed', 'step_undone'],
        toString(kept.event)
    ) AS event,
    kept.status AS status,
    if(kept.step = '' AND kept.day != toDate(0), toString(kept.day), kept.step) AS step,
    kept.chunk AS chunk,
    kept.name AS name,
    kept.is_passed AS is_passed,
    kept.rows AS rows,
    kept.total AS total,
    kept.source_rows AS source_rows,
    kept.own_source_rows AS own_source_rows,
    kept.rows_read AS rows_read,
    kept.bytes_read AS bytes_read,
    kept.seconds AS seconds,
    kept.requested_by AS requested_by,
    kept.reason AS reason,
    kept.run_id AS run_id,
    kept.detail AS payload,
    kept.at AS at,
    kept.server_at AS server_at
FROM web_analytics_backfill_events AS kept
