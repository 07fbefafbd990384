-- Who holds a lease, if anybody does.
-- Grain   at most one row: its name, its holder, seconds since it was made, or since the server began: signs of
--         life are kept in memory, and who lives has had no time to give one since; whether it is a lease at all, and
--         not a table or a view that somebody made in its place
-- Reads   system.tables, one table of it, and its columns
SELECT
    name,
    comment,
    least(dateDiff('second', metadata_modification_time, now()), toInt64(uptime())) AS seconds,
    engine = 'Memory' AND
    (
        SELECT count() = 2
        FROM system.columns
        WHERE database = currentDatabase() AND table = {lease:String}
            AND (name, type) IN (('token', 'String'), ('at', 'DateTime64(3, \'UTC\')'))
    ) AS is_lease
FROM system.tables
WHERE database = currentDatabase() AND name = {lease:String}
