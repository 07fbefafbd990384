-- How many builds the ledger knows of each day; it only ever grows, so an equal number means that none was added.
-- Grain   one row per day
-- Reads   the projection `recorded` of the ledger
SELECT day, sum(records)
FROM
(
    SELECT day, outcome, count() AS records
    FROM web_pre_aggregated_builds
    WHERE day >= {start:Date} AND day < {end:Date}
    GROUP BY day, outcome
)
WHERE outcome != 'verified'
GROUP BY day
