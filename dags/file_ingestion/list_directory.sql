-- The files of a directory, and of all below it, whose name a pattern has.
-- Grain   one row per file
-- Reads   the names in these directories, and what the system says of each
SELECT
    substring(concat(path, '/', name), {skip:UInt64} + 1) AS below,
    ifNull(size, 0),
    toUnixTimestamp64Micro(toDateTime64(assumeNotNull(modification_time), 6, 'UTC')),
    ''
FROM filesystem({directory:String})
WHERE type = 'regular' AND match(below, {pattern:String})
SETTINGS max_execution_time = {seconds:UInt64}
