-- How far a table's day was written, by anybody. A merge moves none of the numbers; an insert, an attached part and a
-- swap bring a higher block, an ALTER that changes rows a higher version, once it is through; `alters` are under way.
-- Grain   one row
-- Reads   system.parts and system.mutations, that table's
-- `ever` is the same of all parts that ClickHouse remembers, those of a day that was swapped or moved away among them:
-- the highest block and version, the names, and the names of those that readers have. The last is the highest number
-- of all of the table's, for its days share them; of a replicated one each day has its own.
-- The uuid tells the table from another that was put in its place, whose numbers tell nothing of this one's.
SELECT
    groupArrayIf((min_block_number, max_block_number, data_version), active AND rows > 0 AND is_of_day) AS parts,
    (
        SELECT count()
        FROM system.mutations
        WHERE
            database = currentDatabase()
            AND table = {table:String}
            AND NOT is_done
            AND NOT is_killed
            AND position(command, 'MATERIALIZE') NOT IN (1, 2)
    ) AS alters,
    (
        maxIf(max_block_number, is_of_day),
        maxIf(data_version, is_of_day),
        groupArrayIf(name, is_of_day),
        groupArrayIf(name, active AND rows > 0 AND is_of_day),
        maxIf(greatest(max_block_number, data_version), is_of_day OR NOT startsWith(engine, 'Replicated'))
    ) AS ever,
    (SELECT toString(any(uuid)) FROM system.tables WHERE database = currentDatabase() AND name = {table:String}) AS uuid
FROM
(
    SELECT *, partition_id = {partition:String} AS is_of_day
    FROM system.parts
    WHERE database = currentDatabase() AND table = {table:String}
)
