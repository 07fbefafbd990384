-- How far a table's day was written, by anybody. A merge moves none of the numbers; an insert, an attached part and a
-- swap bring a higher block, an ALTER that changes rows a higher version, once it is through, and a light UPDATE a part
-- of its own in a partition beside (`patch-…-<day>`).
-- Grain   one row: of the table, whose id is its uuid, which tells it from another that was put in its place; of each
-- ALTER, told apart by whether it changes rows and is under way; of each part that ClickHouse remembers of the day, those
-- that were swapped or moved away among them; and of the part with the highest number of the table's other days
-- Reads   system.parts, system.mutations and system.tables, that table's
SELECT
    'table' AS what,
    startsWith(engine, 'Replicated') AS is_replicated,
    toString(uuid) AS id,
    false AS is_read,
    toInt64(0) AS first_block,
    toInt64(0) AS last_block,
    toInt64(0) AS version
FROM system.tables
WHERE database = currentDatabase() AND name = {table:String}
UNION ALL
SELECT
    if(is_done OR is_killed OR position(command, 'MATERIALIZE') IN (1, 2), 'highest', 'alter'),
    false,
    mutation_id,
    false,
    toInt64(0),
    toInt64(0),
    arrayMax(block_numbers.number)
FROM system.mutations
WHERE database = currentDatabase() AND table = {table:String}
UNION ALL
SELECT
    if(
        partition_id = {partition:String}
        OR (startsWith(partition_id, 'patch-') AND endsWith(partition_id, concat('-', {partition:String}))),
        'part',
        'highest'
    ) AS what,
    false,
    name,
    active AND rows > 0,
    min_block_number,
    max_block_number,
    toInt64(data_version) AS version
FROM system.parts
WHERE database = currentDatabase() AND table = {table:String}
ORDER BY greatest(max_block_number, version) DESC
LIMIT 1 BY if(what = 'part', name, '')
