-- How far a table's day was written, by anybody. A merge moves none of the numbers; an insert, an attached part and a
-- swap bring a higher block, an ALTER that changes rows a higher version, once it is through; `alters` are under way.
-- Grain   one row
-- Reads   system.parts and system.mutations, that table's
-- `ever` is the same of all parts that ClickHouse remembers, those of a day that was swapped or moved away among them;
-- `names` are these parts, and `active` those that readers have.
-- The uuid tells the table from another that was put in its place, whose numbers tell nothing of this one's.
SELECT
    groupArrayIf((min_block_number, max_block_number, data_version), active AND rows > 0) AS parts,
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
    (max(max_block_number), max(data_version), groupArray(name), groupArrayIf(name, active AND rows > 0)) AS ever,
    (SELECT toString(any(uuid)) FROM system.tables WHERE database = currentDatabase() AND name = {table:String}) AS uuid
FROM system.parts
WHERE database = currentDatabase() AND table = {table:String} AND partition_id = {partition:String}
