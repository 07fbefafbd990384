-- The files of a directory, and of all below it, whose name a pattern has; how many are symbolic links, of whose files
-- nothing is said here, in a row that is called /; and how many have names that are no text, in one called //.
-- Grain   one row per file, and up to two of the others
-- Reads   the names in these directories, and what the system says of each
SELECT
    multiIf(is_link, '/', NOT isValidUTF8(below), '//', below) AS path,
    any(bytes),
    any(micros),
    '',
    count()
FROM
(
    SELECT
        substring(concat(files.path, '/', files.name), {skip:UInt64} + 1) AS below,
        files.type = 'symlink' AS is_link,
        ifNull(files.size, 0) AS bytes,
        toUnixTimestamp64Micro(toDateTime64(assumeNotNull(files.modification_time), 6, 'UTC')) AS micros
    FROM filesystem({directory:String}) AS files
    WHERE files.type IN ('regular', 'symlink') AND (match(below, {pattern:String}) OR NOT isValidUTF8(below))
)
GROUP BY path
SETTINGS max_execution_time = {seconds:UInt64}
