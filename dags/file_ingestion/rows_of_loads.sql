-- Rows that files brought under an older version of the schema, as they are in the target, to stand in land.sql: they
-- land again without a file being read.
-- Grain   one row per row of these loads
-- Reads   what is landed, of the rows of these loads
SELECT
    transform(there.load_id, {before:Array(UInt64)}, {loads:Array(UInt64)}, toUInt64(0)) AS _load,
    1 AS _is_planned,
    0 AS _fault,
    0 AS _wrong,
    toString(there.uuid) AS _key,
    $values
FROM $target AS there
WHERE there.load_id IN {before:Array(UInt64)}
