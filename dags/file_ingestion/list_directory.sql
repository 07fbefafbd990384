-- The files of a directory, and of all below it, whose name a pattern has and that the ledger does not have as settled,
-- each with whether it has that file at all; how many it has, in one row without a name; and how many are symbolic links,
-- of whose files nothing is said here, in one that is called /; or have names that are no text, in one called //.
-- Grain   one row per file, and up to three of the others
-- Reads   the names in these directories, and what the system says of each; the ledger of the ingestion, twice
SELECT
    multiIf(is_link, '/', NOT isValidUTF8(below), '//', is_settled, '', below) AS path,
    any(bytes),
    any(micros),
    '',
    any(is_known),
    count()
FROM
(
    SELECT
        substring(concat(files.path, '/', files.name), {skip:UInt64} + 1) AS below,
        files.type = 'symlink' AS is_link,
        ifNull(files.size, 0) AS bytes,
        toUnixTimestamp64Micro(toDateTime64(assumeNotNull(files.modification_time), 6, 'UTC')) AS micros,
        NOT has({keep:Array(String)}, below) AND sipHash128(below, concat(toString(bytes), ' ', toString(micros))) IN
        (
            SELECT sipHash128(path, concat(toString(size), ' ', toString(toUnixTimestamp64Micro(modified_at))))
            FROM web_analytics_files
            WHERE ingestion_id = {ingestion:String} AND
            (
                (event = 'success' AND empty(broken) AND schema_version >= {reload_below:UInt32})
                OR event = 'skipped'
                OR (event = 'removed' AND schema_version >= {refreshed:UInt32})
            )
        ) AS is_settled,
        sipHash128(below) IN
        (
            SELECT sipHash128(path) FROM web_analytics_file_events WHERE ingestion_id = {ingestion:String}
        ) AS is_known
    FROM filesystem({directory:String}) AS files
    WHERE files.type IN ('regular', 'symlink') AND (match(below, {pattern:String}) OR NOT isValidUTF8(below))
)
GROUP BY path
SETTINGS max_execution_time = {seconds:UInt64}
