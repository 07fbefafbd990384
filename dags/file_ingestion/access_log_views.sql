-- Hits as page views, or why they are none: a page view is a GET that was answered 2xx or 304, and whose path is a page.
-- Of a line that is none, all but the reason is left behind.
-- Grain   one row per line
-- Each use of a name costs as much as what it stands for: so they are made level by level.
-- Reads   what is within, and sorts it by site, and by what it holds
WITH
    -- What follows a percent sign names a network card.
    (host -> concat(lowerUTF8(substringIndex(host, '%', 1)), substring(host, length(substringIndex(host, '%', 1)) + 1))) AS lower_of,
    (authority -> if(match(authority, '[\\[\\]]'),
        if(isIPv6String(extract(authority, '\\[([0-9A-Fa-f:.]+)\\]')), lower(extract(authority, '\\[([0-9A-Fa-f:.]+)\\]')), ''),
        lower_of(substringIndex(substringIndex(authority, '@', -1), ':', 1)))) AS host_of,
    (name -> if(startsWith(name, 'www.'), substring(name, 5), name)) AS bare
SELECT
    * EXCEPT (dressed, domain, site, dress),
    bare(domain) AS domain_of_site
FROM
(
    SELECT *, argMaxIf(dress, dressed, dress != '') OVER (PARTITION BY _file, site ORDER BY dress ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS domain
    FROM
    (
        SELECT
            _file, _etag, _size, _time, _row_number, kind, shown, status,
            is_view ? seconds : 0 AS seconds,
            is_view ? address : '' AS address,
            is_view ? request_or_line_host : '' AS host,
            is_view ? path : '' AS path,
            is_view ? query : '' AS query,
            is_view ? referrer : '' AS referrer,
            is_view ? user_agent : '' AS user_agent,
            is_view ? toString(UUIDNumToString(sipHash128(address, '\0', user_agent))) : '' AS visitor,
            is_view ? sipHash128(text) : toFixedString('', 16) AS digest,
            is_view ? referrer_domain : '' AS referrer_domain,
            bare(referrer_domain) AS own_referrer,
            bare(host) AS domain_of_host,
            site, dress,
            count() OVER (PARTITION BY _file, site, dress) AS dressed,
            row_number() OVER (PARTITION BY _file, digest ORDER BY _row_number) AS ordinal
        FROM
        (
            SELECT
                *,
                kind = '' AS is_view,
                kind = 'script, style or font' ? referrer_domain : '' AS dress,
                startsWith(line_host, 'www.') ? substring(line_host, 5) : line_host AS site
            FROM
            (
                SELECT
                    *,
                    request_host = '' ? line_host : request_host AS request_or_line_host,
                    multiIf(
                        wrong != '', wrong,
                        method != 'GET', 'method is not GET',
                        startsWith(status, '1'), 'answered 1xx',
                        startsWith(status, '3') AND status != '304', 'answered 3xx other than 304',
                        startsWith(status, '4'), 'answered 4xx',
                        startsWith(status, '5'), 'answered 5xx',
                        NOT startsWith(path, '/'), 'target is not a path',
                        position(path, '/.') > 0, 'another kind of file',
                        name IN ('robots.txt', 'feed', 'rss', 'atom', 'rss.xml', 'atom.xml', 'feed.xml')
                            OR startsWith(name, 'sitemap') AND endsWith(name, '.xml'), 'feed, robots.txt or sitemap',
                        extension IN ('', 'html', 'htm', 'xhtml', 'shtml', 'php', 'phtml', 'asp', 'aspx', 'jsp', 'jspx', 'cfm', 'cgi', 'pl'), '',
                        extension IN ('js', 'mjs', 'css', 'map', 'woff', 'woff2', 'ttf', 'otf', 'eot'), 'script, style or font',
                        extension IN (
                            'gif', 'jpg', 'jpeg', 'png', 'webp', 'avif', 'bmp', 'ico', 'svg', 'xbm', 'tif', 'tiff', 'mp3', 'mp4',
                            'mpg', 'mpeg', 'mov', 'avi', 'wav', 'au', 'ogg', 'webm', 'swf'
                        ), 'image, sound or film',
                        'another kind of file') AS kind
                FROM
                (
                    SELECT *, endsWith(path, '/') OR position(name, '.') = 0 ? '' : substringIndex(name, '.', -1) AS extension
                    FROM
                    (
                        SELECT
                            *,
                            substring(local, length(path) + 2) AS query,
                            lowerUTF8(substringIndex(extract(path, '([^/]*)/*$$'), ';', 1)) AS name,
                            names_host ? host_of(extract(target, '^https?://([^/?#]*)')) : '' AS request_host,
                            host_of(extract(referrer, '^ *(?i:https?)://([^/?#]*)')) AS referrer_domain
                        FROM
                        (
                            SELECT *, substringIndex(local, '?', 1) AS path
                            FROM
                            (
                                SELECT
                                    *,
                                    wrong = '' ? '' : (odd = '' ? substring(text, 1, 60) : odd) AS shown,
                                    startsWith(target, 'http://') OR startsWith(target, 'https://') AS names_host,
                                    substringIndex(names_host ? extract(target, '^https?://[^/]*(.*)$$') : target, '#', 1) AS local
                                FROM ($within)
                            )
                        )
                    )
                )
            )
        )
    )
)
