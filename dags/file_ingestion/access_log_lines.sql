-- The lines of web server access logs, in Common or Combined Log Format, with their fields as they are logged; more
-- fields before the address (a site, what syslog writes) and after the user agent are accepted.
-- Grain   one row per line
-- Reads   these files, once
SELECT
    *,
    -- The rest of the line may have brackets too: of those that its form allows, the first are the timestamp.
    extractGroups(text, '^([^ ].*?) \\[([^\\[\\]]*)\\] "((?:[^"\\\\]|\\\\.)*)" ([^ ]+) (?:[0-9]+|-)(?: "((?:[^"\\\\]|\\\\.)*)" "((?:[^"\\\\]|\\\\.)*)"( .*)?)?$$') AS _quick,
    -- RE2 takes six times as long where it counts.
    if(empty(_quick) OR lengthUTF8(_quick[2]) BETWEEN 1 AND 40, _quick, extractGroups(text, '^([^ ].*?) \\[([^\\[\\]]{1,40})\\] "((?:[^"\\\\]|\\\\.)*)" ([^ ]+) (?:[0-9]+|-)(?: "((?:[^"\\\\]|\\\\.)*)" "((?:[^"\\\\]|\\\\.)*)"( .*)?)?$$')) AS fields,
    fields[1] AS before,
    fields[2] AS stamp,
    fields[3] AS request,
    fields[4] AS status,
    if(fields[5] = '-', '', fields[5]) AS referrer,
    if(fields[6] = '-', '', fields[6]) AS user_agent,
    fields[7] AS after,
    multiIf(
        is_long, 'line over 256 KiB',
        NOT is_utf8, 'bytes that are not UTF-8',
        match(text, '^[\\s\\x0b\\x1c-\\x1f\\x{85}\\p{Z}]*$$'), 'blank line',
        match(text, '[^ \\p{L}\\p{M}\\p{N}\\p{P}\\p{S}]'), 'unprintable characters',
        empty(fields) OR countSubstrings(before, ' ') < 2, 'not Common or Combined Log Format',
        '') AS wrong
FROM
(
    SELECT
        length(line) >= 262144 AS is_long,
        isValidUTF8(line) AS is_utf8,
        multiIf(is_long OR NOT is_utf8, '', endsWith(line, '\r'), substring(line, 1, length(line) - 1), line) AS text,
        if(is_long OR NOT is_utf8, substring(line, 1, 60), '') AS odd,
        $path AS _file, _etag, _size, _time, _row_number
    FROM $source
    WHERE $path IN {paths:Array(String)}
)
