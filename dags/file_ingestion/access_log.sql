-- Access logs as rows: the hits that are page views, with what their sessions say of them; of the others why they are
-- none. A visitor is an address and a user agent. A session ends when no page view follows for 30 minutes, and is cut at
-- each 24 hours from its beginning. The site's own domain is no referrer: it is what lines name as the site, and whose
-- pages load its scripts, styles and fonts. A page view without a referrer has that of its session's first, $$direct where
-- that has none.
-- An id is a function of a line and of how many equal ones stand before it: what follows in a file changes none of them.
-- Grain   one row per line
-- Reads   these files, once, and sorts their lines by site, by visitor, and by what they hold
WITH
    (value -> toValidUTF8(decodeURLFormComponent(value))) AS decoded,
    (value -> if(match(decoded(value), '[^ \\p{L}\\p{M}\\p{N}\\p{P}\\p{S}]'), value, decoded(value))) AS legible,
    (pattern -> if(has_campaign, legible(extract(query, pattern)), '')) AS given,
    ['EdgiOS/', 'EdgA/', 'Edg/', 'Edge/', 'OPR/', 'Opera', 'SamsungBrowser/', 'CriOS/', 'FxiOS/', 'Ddg/', 'Firefox/', 'Chrome/', 'MSIE ', 'Trident/'] AS _browser_marks,
    ['Microsoft Edge', 'Microsoft Edge', 'Microsoft Edge', 'Microsoft Edge', 'Opera', 'Opera', 'Samsung Internet', 'Chrome iOS', 'Firefox iOS', 'DuckDuckGo', 'Firefox', 'Chrome', 'Internet Explorer', 'Internet Explorer'] AS _browsers,
    ['iPhone', 'iPad', 'Windows Phone', 'Android', 'Windows', 'Macintosh', 'CrOS', 'Linux'] AS _system_marks,
    ['iOS', 'iOS', 'Windows Phone', 'Android', 'Windows', 'Mac OS X', 'Chrome OS', 'Linux'] AS _systems,
    ['Mobile', 'Tablet', 'Mobile', 'Tablet', 'Desktop', 'Desktop', 'Desktop', 'Desktop'] AS _device_types
SELECT
    $row AS _row,
    toUInt32(indexOf({kinds:Array(String)}, kind)) AS _fault,
    -- Hostile text, shown as plain ASCII.
    if(shown = '', '', concat(': ', arrayStringConcat(arrayMap(
        place -> if(match(substring(shown, place, 1), '^[ -\\[\\]-~]$$'), substring(shown, place, 1), concat('\\x', lower(hex(substring(shown, place, 1))))),
        range(1, length(shown) + 1))))) AS _sample,
    _file, _etag, _size, _time, _row_number
FROM
(
    SELECT
        *,
        toString(UUIDNumToString(sipHash128(digest, ordinal))) AS id,
        concat(toString(fromUnixTimestamp64Second(seconds, 'UTC')), 'Z') AS at,
        toString(UUIDNumToString(sipHash128(visitor, run, span))) AS session,
        multiIf(referring != '', referring, first_referring != '', first_referring, '$$direct') AS referring_domain,
        multiSearchAny(query, ['utm_', 'clid=', 'gad_source=']) AS has_campaign,
        given('(?:^|&)utm_source=([^&]+)') AS utm_source,
        given('(?:^|&)utm_medium=([^&]+)') AS utm_medium,
        given('(?:^|&)utm_campaign=([^&]+)') AS utm_campaign,
        given('(?:^|&)utm_term=([^&]+)') AS utm_term,
        given('(?:^|&)utm_content=([^&]+)') AS utm_content,
        given('(?:^|&)gclid=([^&]+)') AS gclid,
        given('(?:^|&)gad_source=([^&]+)') AS gad_source,
        given('(?:^|&)fbclid=([^&]+)') AS fbclid,
        multiSearchAny(lowerUTF8(user_agent), [
            'bot', 'crawl', 'spider', 'slurp', 'scan', 'inspect', 'headless', 'monitor', 'measurement', 'curl/', 'wget/',
            'python', 'go-http-client', 'java/', 'okhttp', 'libwww', 'httpclient', 'zgrab', 'nmap'
        ]) AS is_bot,
        multiSearchFirstIndex(user_agent, _browser_marks) AS browser_number,
        multiSearchFirstIndex(user_agent, _system_marks) AS system_number,
        if(is_bot, '', _systems[system_number]) AS os,
        multiIf(
            is_bot, '',
            browser_number > 0, _browsers[browser_number],
            position(user_agent, 'Version/') = 0 OR position(user_agent, 'Safari/') = 0, '',
            os = 'iOS', 'Mobile Safari',
            'Safari') AS browser,
        multiIf(
            is_bot, 'Bot',
            os = 'Android' AND position(user_agent, 'Mobile') > 0, 'Mobile',
            _device_types[system_number]) AS device_type
    FROM
    (
        SELECT *, argMaxIf(referring, seconds, run != run_before OR span != span_before) OVER visits AS first_referring
        FROM
        (
            SELECT *, lagInFrame(run, 1, 0) OVER visits AS run_before, lagInFrame(span, 1, 0) OVER visits AS span_before
            FROM
            (
                SELECT *, max(if(seconds - seconds_before > 1800, seconds, 0)) OVER visits AS run, intDiv(seconds - run, 86400) AS span
                FROM
                (
                    SELECT
                        *,
                        if(own_referrer = domain_of_site OR own_referrer = domain_of_host, '', referrer_domain) AS referring,
                        lagInFrame(seconds, 1, 0) OVER visits AS seconds_before
                    FROM ($within)
                    WINDOW visits AS (PARTITION BY _file, visitor ORDER BY seconds, _row_number ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
                )
                WINDOW visits AS (PARTITION BY _file, visitor ORDER BY seconds, _row_number ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
            )
            WINDOW visits AS (PARTITION BY _file, visitor ORDER BY seconds, _row_number ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
        )
        WINDOW visits AS (PARTITION BY _file, visitor ORDER BY seconds, _row_number ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    )
)
