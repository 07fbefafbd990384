-- What runs that build or load have done and what that took, for dashboards. On a server
-- web_analytics_statements knows more of each: processor and memory.
-- Grain   one row per run and week
-- week    the Monday of the ISO week in UTC
-- kind    managed, automatic, manual, or another kind of work; daily where the audit has nothing of the run: of the
--         daily build, whose units the ledger alone knows
-- seconds of builds from the lease to the ledger, once for tables that a run builds together; of loads those of its steps
-- rows    that readers see of what was done, NULL where the audit does not say
-- rows_read, bytes_read: by ClickHouse, NULL where it does not say: daily builds, the embedded engine
-- Reads   the ledger, as far as `week` is narrowed down, and the audit's events. Its columns are spelt, so that it can be
--         made while another applies the schema too and has the audit's view as 0042 has it, without what ClickHouse read.
CREATE OR REPLACE VIEW web_analytics_run_costs
(
    week Date,
    run_id String,
    kind String,
    subjects Array(String),
    units UInt64,
    seconds Float64,
    rows Nullable(UInt64),
    rows_read Nullable(UInt64),
    bytes_read Nullable(UInt64)
)
AS
SELECT
    week,
    run_id,
    if(max(known_kind) = '', 'daily', max(known_kind)) AS kind,
    arraySort(groupUniqArrayArray(subjects)) AS subjects,
    sum(known_units) AS units,
    if(max(is_build), sum(build_seconds), sum(step_seconds)) AS seconds,
    sumOrNullIf(known_rows, known_kind != '') AS rows,
    nullIf(sum(known_rows_read), 0) AS rows_read,
    nullIf(sum(known_bytes_read), 0) AS bytes_read
FROM
(
    SELECT
        week,
        run_id,
        '' AS known_kind,
        groupUniqArray(table_name) AS subjects,
        sum(built_units) AS known_units,
        dateDiff('millisecond', min(started_at), max(finished_at)) / 1000 AS build_seconds,
        0. AS step_seconds,
        true AS is_build,
        0 AS known_rows,
        0 AS known_rows_read,
        0 AS known_bytes_read
    FROM web_analytics_builds
    GROUP BY week, run_id, day
    UNION ALL
    SELECT
        toMonday(max(server_at)) AS week,
        run_id,
        any(kind) AS known_kind,
        [any(toString(subject))] AS subjects,
        0 AS known_units,
        0. AS build_seconds,
        argMax(seconds, at) AS step_seconds,
        false AS is_build,
        -- An event that was appended twice, as after an answer that was lost, is one.
        argMaxIf(events.rows, at, event = 'step_done') AS known_rows,
        argMax(events.rows_read, at) AS known_rows_read,
        argMax(events.bytes_read, at) AS known_bytes_read
    FROM web_analytics_work_events AS events
    WHERE event IN ('step_done', 'step_failed')
    GROUP BY work_id, run_id, chunk, step
)
GROUP BY week, run_id
