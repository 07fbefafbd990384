-- What builds came to, by week, and in the last seven days. Of each build of a day the share of the units that
-- succeeded counts, so that a day that failed as a whole (team 0) weighs as much as one that was built for all teams.
-- Grain   one row per table and week, named by its Monday
-- Reads   the ledger of the tables, but for what detections verified, the days from `start` on
SELECT
    table_name,
    toMonday(ended) AS week,
    if(countIf(tried > 0) = 0, NULL, sumIf(built / tried, tried > 0) / countIf(tried > 0)) AS rate,
    sum(built),
    sum(failed),
    sum(held),
    count(),
    sum(dateDiff('millisecond', begun, ended)) / 1000,
    sum(source_rows),
    countIf(tried > 0 AND is_lately) AS lately,
    sumIf(if(tried = 0, 0, built / tried), is_lately) AS lately_share,
    sumIf(built, is_lately),
    sumIf(failed, is_lately),
    sumIf(held, is_lately),
    maxIf(ended, failed > 0 AND is_lately) AS failed_at,
    argMaxIf(error_of_one, ended, failed > 0 AND is_lately)
FROM
(
    SELECT
        table_name,
        run_id,
        day,
        countIf(outcome IN ('built', 'empty')) AS built,
        countIf(outcome = 'failed') AS failed,
        countIf(outcome = 'held') AS held,
        built + failed AS tried,
        min(started_at) AS begun,
        max(finished_at) AS ended,
        ended > now64(6) - toIntervalDay(7) AS is_lately,
        sum(source_events) AS source_rows,
        anyIf(substringUTF8(error, 1, 300), outcome = 'failed') AS error_of_one
    FROM web_pre_aggregated_builds
    WHERE
        table_name IN {tables:Array(String)}
        AND day >= {start:Date}
        AND outcome IN ('built', 'empty', 'failed', 'held')
        AND finished_at > now64(6) - toIntervalWeek({weeks:UInt8})
    GROUP BY table_name, run_id, day
)
GROUP BY table_name, week
ORDER BY table_name, week
