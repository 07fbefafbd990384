-- The leases that are held, all days, each with its holder's last sign of life.
-- Grain   one row per lease: its name, its holder, seconds since it was made or since the server began, signs of
--         life, seconds since the last. They are kept in memory: who lives gives one anew after a restart
-- Reads   every lease's signs of life, one in ten seconds, and then system.tables: what is given back in between is no
--         lease any more. A lease that vanishes while it is read is passed over
-- Fails with code 636 where no lease is left to read; held.sql says beforehand whether there is one.
SELECT
    leases.name AS name,
    leases.comment AS token,
    least(dateDiff('second', leases.metadata_modification_time, now()), toInt64(uptime())) AS seconds,
    beats,
    silent
FROM system.tables AS leases
LEFT JOIN
(
    SELECT
        _table AS lease,
        token,
        count() AS beats,
        dateDiff('millisecond', max(at), now64(3)) / 1000 AS silent
    FROM merge(currentDatabase(), {pattern:String})
    GROUP BY lease, token
) AS signs
    ON signs.lease = leases.name AND signs.token = leases.comment
WHERE leases.database = currentDatabase() AND match(leases.name, {pattern:String})
SETTINGS join_use_nulls = 0
