-- Whose builds a backfill took back, by a rollback or after a gate: teams of which one of its runs had built the day, and
-- which nobody built after that moment, in microseconds since 1970. What was built then is not there any more: that of
-- others since the backfill neither, where a person allowed to lose it, for elsewhere such a day is not put back.
-- Grain   one row per day of a table that was put back, as often as it was
-- Reads   the log of work, which is small; and of the days in it the ledger of builds
WITH undone AS
(
    SELECT backfill_id, runs, put_back.1 AS table_name, put_back.2 AS day, put_back.3 AS undone_at
    FROM
    (
        SELECT
            backfill_id,
            groupUniqArray(run_id) AS runs,
            groupArrayIf((table_name, day, server_at), event IN ('step_undone', 'day_restored')) AS put_back
        FROM web_analytics_backfill_events
        WHERE table_name IN {tables:Array(String)}
        GROUP BY backfill_id
    )
    ARRAY JOIN put_back
    WHERE day >= {start:Date} AND day < {end:Date}
)
SELECT table_name, day, toUnixTimestamp64Micro(undone_at), groupArray(team_id)
FROM
(
    SELECT undone.table_name AS table_name, undone.day AS day, undone_at, backfill_id, team_id
    FROM web_pre_aggregated_builds AS built
    INNER JOIN undone
    ON built.table_name = undone.table_name AND built.day = undone.day
    WHERE
        (built.table_name, built.day) IN (SELECT table_name, day FROM undone)
        AND outcome IN ('built', 'empty')
        AND finished_at <= undone_at
    GROUP BY table_name, day, undone_at, backfill_id, team_id
    HAVING countIf(has(runs, run_id)) > 0
)
GROUP BY table_name, day, undone_at, backfill_id
