-- Which days a backfill replaced and was put back since, by a rollback or after a gate: the moments between which it
-- replaced them, in microseconds since 1970. What was built in between is not there any more.
-- Grain   one row per day of a table that was put back, as often as it was
-- Reads   the log of work, which is small
SELECT undone.1 AS table_name, undone.2 AS day, toUnixTimestamp64Micro(began), toUnixTimestamp64Micro(undone.3)
FROM
(
    SELECT
        minIf(server_at, event = 'started') AS began,
        groupArrayIf((table_name, day, server_at), event IN ('step_undone', 'day_restored')) AS put_back
    FROM web_analytics_backfill_events
    WHERE event IN ('started', 'step_undone', 'day_restored') AND table_name IN {tables:Array(String)}
    GROUP BY backfill_id
)
ARRAY JOIN put_back AS undone
WHERE day >= {start:Date} AND day < {end:Date}
