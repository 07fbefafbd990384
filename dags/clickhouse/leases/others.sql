-- Which leases are held by others, and which tables and views only have such a name: somebody else made them.
-- Grain   one row: the names of both
-- Reads   system.tables and the columns of those that have the prefix
SELECT groupArrayIf(name, is_lease AND ({except_token:String} = '' OR comment != {except_token:String})), groupArrayIf(name, NOT is_lease)
FROM
(
    SELECT
        name,
        comment,
        engine = 'Memory' AND match(name, {pattern:String}) AND name IN
        (
            SELECT table
            FROM system.columns
            WHERE database = currentDatabase() AND startsWith(table, {prefix:String})
                AND (name, type) IN (('token', 'String'), ('at', 'DateTime64(3, \'UTC\')'))
            GROUP BY table
            HAVING count() = 2
        ) AS is_lease
    FROM system.tables
    WHERE database = currentDatabase() AND startsWith(name, {prefix:String})
)
