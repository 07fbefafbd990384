-- How many builds of a month's days are history: they ended before an instant, a later build of the same unit ended the
-- same way, and none of the runs that are named made them.
-- Grain   one row
-- Reads   the ledger's builds of days of [start, end)
SELECT toUInt64(sum(arrayCount(at -> at < last_at, early)))
FROM
(
    SELECT
        max(finished_at) AS last_at,
        groupArrayIf(
            finished_at,
            finished_at < {before:DateTime64(6, 'UTC')} AND NOT has({run_ids:Array(String)}, run_id)
        ) AS early
    FROM web_pre_aggregated_builds
    WHERE day >= {start:Date} AND day < {end:Date}
    GROUP BY table_name, day, team_id, outcome
)
