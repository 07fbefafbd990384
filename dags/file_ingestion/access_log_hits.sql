-- Lines as hits: who sent which request to which site, when, and how it was answered; of what is none, why.
-- Who it was: the address is looked for where it belongs, beside ident and user, then to the left of that; a list of
-- addresses begins with the visitor. An address that proxies forward for, in quotes after the user agent, counts where
-- the line's own is of a private network. A name that was looked up counts where there is no address.
-- Each use of a name costs as much as what it stands for: so they are made level by level.
-- Grain   one row per line
WITH
    (word -> isIPv4String(word) OR (
        position(word, ':') > 0
        AND match(word, '^[0-9A-Fa-f:]+(?::[0-9.]+)?(?:%[^%]+)?$$')
        AND NOT match(word, ':::|::.*::')
        AND isIPv6String(splitByChar('%', word)[1])
        AND (position(splitByChar('%', word)[1], '.') = 0 OR isIPv4String(splitByChar(':', splitByChar('%', word)[1])[-1]))
        AND (position(word, '::') = 0 OR length(arrayFilter(part -> part != '', splitByChar(':', splitByChar('%', word)[1]))) + (position(splitByChar('%', word)[1], '.') > 0) < 8)
    )) AS is_address,
    (word -> arrayFirst(one -> is_address(one), arrayMap(
        one -> replaceRegexpOne(one, '^(?:\\[([0-9A-Fa-f:.]+)\\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5})$$', '\\1\\2'),
        splitByChar(',', trimBoth(word, '",'))))) AS address_of,
    (word -> lower(trimRight(multiIf(
        match(word, '^[\\w.-]+:[0-9]{1,5}$$'), if(splitByChar(':', word)[1] IN ('_', '-'), '', splitByChar(':', word)[1]),
        match(word, '^[\\w-]*[A-Za-z][\\w-]*\\.(?:[\\w-]+\\.)*[A-Za-z][\\w-]*\\.?$$'), word,
        ''), '.'))) AS site_of
SELECT
    * EXCEPT (wrong),
    multiIf(
        wrong != '', wrong,
        address = '', 'no address of a visitor',
        request IN ('', '-'), 'no request',
        target = '', if(match(request, '(?i)\\\\x(?:[01][0-9a-f]|7f|[89a-f][0-9a-f])'), 'binary bytes where a request belongs', 'request line that is not HTTP'),
        NOT is_moment, 'timestamp that does not exist',
        NOT match(status, '^[1-5][0-9][0-9]$$'), 'status that is not 100 to 599',
        '') AS wrong
FROM
(
    SELECT
        *,
        multiIf(
            own = '' AND notEmpty(forwarded), forwarded[1],
            own = '' AND length(rest) >= 3 AND (length(rest) = 3 OR rest[2] = '-') AND length(rest[1]) <= 253
                AND match(rest[1], '^[\\w./-]*[A-Za-z][\\w./-]*$$'), lower(rest[1]),
            own = '' OR empty(forwarded), own,
            own_is_private, if(public_forwarded = '', own, public_forwarded),
            own) AS address
    FROM
    (
        SELECT
            *,
            notEmpty(forwarded) AND own != '' AND NOT has(public, own) AS own_is_private,
            public[1] AS public_forwarded
        FROM
        (
            SELECT
                *,
                if(notEmpty(forwarded) AND own != '', arrayFilter(one -> NOT arrayExists(
                    range -> isIPAddressInRange(if(isIPv4String(one), concat('::ffff:', one), splitByChar('%', one)[1]), range),
                    [
                        '::1/128', '::/128', '100::/64', '2001::/23', '2001:db8::/32', 'fc00::/7', 'fe80::/10',
                        '::ffff:0.0.0.0/104', '::ffff:10.0.0.0/104', '::ffff:127.0.0.0/104', '::ffff:169.254.0.0/112',
                        '::ffff:172.16.0.0/108', '::ffff:192.0.0.0/125', '::ffff:192.0.0.170/127', '::ffff:192.0.2.0/120',
                        '::ffff:192.168.0.0/112', '::ffff:198.18.0.0/111', '::ffff:198.51.100.0/120',
                        '::ffff:203.0.113.0/120', '::ffff:240.0.0.0/100'
                    ]), arrayPushFront(forwarded, own)), ['']) AS public,
                if(own != '', site_of(if(first > 1, words[first - 1], words[at_place + 1])), if(has_site, site_of(words[1]), '')) AS line_host
            FROM
            (
                SELECT
                    *,
                    is_plain ? substringIndex(before, ' ', 1) : addresses[at_place] AS own
                FROM
                (
                    SELECT
                        *,
                        arrayFirst(place -> place >= first, found) AS at_place
                    FROM
                    (
                        SELECT
                            *,
                            arrayLastIndex((word, place) -> place < belongs AND NOT endsWith(word, ','), words, arrayEnumerate(words)) + 1 AS first
                        FROM
                        (
                            SELECT
                                *,
                                multiIf(notEmpty(beside_ident), beside_ident[1], has(found, count - 2), toUInt32(count - 2), found[-1]) AS belongs
                            FROM
                            (
                                SELECT
                                    *,
                                    arrayFilter(place -> words[place + 1] = '-', found) AS beside_ident,
                                    if(has_site, arraySlice(words, 2), words) AS rest,
                                    match(stamp, '^[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9] [+-](?:[01][0-9]|2[0-3])[0-5][0-9]$$')
                                        AND (toYear(date), toMonth(date), toDayOfMonth(date)) = (year, month, day)
                                        AND seconds >= {first:Int64} AND seconds < {end:Int64} AS is_moment
                                FROM
                                (
                                    SELECT
                                        *,
                                        arrayFilter(place -> addresses[place] != '', arrayEnumerate(words)) AS found,
                                        arrayFlatten(arrayFilter(
                                            list -> list != [''] AND arrayAll(one -> is_address(one), list),
                                            arrayMap(quoted -> arrayMap(one -> trimBoth(one), splitByChar(',', quoted)), extractAll(after, '"([^"]*)"')))) AS forwarded,
                                        match(words[1], '^(?:\\*|[\\w.-]+):[0-9]{1,5}$$') AS has_site,
                                        toInt64(toInt32(date)) * 86400 + toUInt8OrZero(substring(stamp, 13, 2)) * 3600
                                            + toUInt8OrZero(substring(stamp, 16, 2)) * 60 + toUInt8OrZero(substring(stamp, 19, 2))
                                            - if(substring(stamp, 22, 1) = '-', -60, 60) * (toUInt8OrZero(substring(stamp, 23, 2)) * 60 + toUInt8OrZero(substring(stamp, 25, 2))) AS seconds
                                    FROM
                                    (
                                        SELECT
                                            *,
                                            length(words) AS count,
                                            arrayMap((word, place) -> if(place < count - 1 AND match(word, ':|\\..*\\..*\\.'), address_of(word), ''), words, arrayEnumerate(words)) AS addresses,
                                            makeDate32(year, month, day) AS date,
                                            -- HTTP/0.9 names no protocol.
                                            if(notEmpty(asked), asked[2], extract(request, '^GET +(/[^ ]*) *$$')) AS target,
                                            if(notEmpty(asked), asked[1], 'GET') AS method
                                        FROM
                                        (
                                            SELECT
                                                *,
                                                -- Nearly every line begins like this, and what its words are need not be asked.
                                                match(before, '^[0-9.]+ - [^ ]+$$') AND isIPv4String(substringIndex(before, ' ', 1)) AS is_plain,
                                                arrayFilter(word -> word != '', splitByChar(' ', is_plain ? '' : before)) AS words,
                                                extractGroups(request, '^([A-Z][A-Z_-]*) +([^ ](?:.*[^ ])?) +HTTP/[^ ]* *$$') AS asked,
                                                indexOf(['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'], substring(stamp, 4, 3)) AS month,
                                                toUInt16OrZero(substring(stamp, 8, 4)) AS year,
                                                toUInt8OrZero(substring(stamp, 1, 2)) AS day
                                            FROM ($within)
                                        )
                                    )
                                )
                            )
                        )
                    )
                )
            )
        )
    )
)
