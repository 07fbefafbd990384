-- The rows of a group of files, to stand in land.sql: of which load each is, whether it is of the version that was
-- planned, which of its columns is the first that is not what it is to be, and where it stands.
-- Grain   one row per row of a file
-- Reads   these files, once
WITH {form:String} AS _form, '' AS _none
SELECT
    toUInt32(transform(_file, {paths:Array(String)}, range(1, length({paths:Array(String)}) + 1), 0)) AS _place,
    arrayElement({loads:Array(UInt64)}, _place) AS _load,
    replaceAll(ifNull(_etag, ''), '"', '') AS _tag,
    arrayElement({etags:Array(String)}, _place) AS _planned_tag,
    if(
        _tag != '' AND _planned_tag != '',
        _tag = _planned_tag,
        ifNull(_size, 0) = arrayElement({sizes:Array(UInt64)}, _place)
            AND toUnixTimestamp(assumeNotNull(_time)) = arrayElement({moments:Array(UInt32)}, _place)) AS _is_planned,
    _fault,
    $wrong AS _wrong,
    concat(substring(_file, {skip:UInt64} + 1), ' row ', toString(_row_number + 1), _sample) AS _key,
    $values
FROM ($rows)
