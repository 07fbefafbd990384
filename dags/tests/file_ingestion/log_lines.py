"""Lines of access logs as they are found, and as they are made by those who hope that a parser breaks."""

from __future__ import annotations

from hypothesis import strategies as st

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0"
BEFORE = (
    "10.0.0.1 - -",
    "10.0.0.2 - -",
    "203.0.113.7 - alice",
    "192.168.1.9 - -",
    "8.8.8.8 - -",
    "www.example.org:443 10.4.202.58 - -",
    "*:80 1.2.3.4 - -",
    "example.org 1.2.3.4 - -",
    "1.2.3.4 Example.org -",
    "::1 - -",
    "fe80::1 - -",
    "2001:db8::ff00:42:8329 - -",
    "1:2:3:4:5:6:7:8 - -",
    "1:2:3:4::5:6:7:8 - -",
    "::ffff:1.2.3.4 - -",
    "::ffff:1.2.3.04 - -",
    "fe80::1%eth0 - -",
    "[::1]:8080 - -",
    "1.2.3.4:80 - -",
    "uplherc.upl.com - -",
    "host/sub.example - -",
    "- - -",
    "_:80 - - -",
    "1.2.3.4, 5.6.7.8 - -",
    "example.org 1.2.3.4, 5.6.7.8 - -",
    '"1.2.3.4,5.6.7.8" - -',
    "Jan 5 12:00:00 web nginx: 1.2.3.4 - -",
    "Jan 5 12:00:00 web nginx[7]: unknown - -",
    "1.2.3.4 5.6.7.8 - user name",
    "1.2.3.4 - 5.6.7.8 x",
    "010.1.1.1 - -",
    "1.2.3 - -",
    "256.1.1.1 - -",
    "a b",
    "1.2.3.4 -",
    "x  1.2.3.4  -  -",
    '1.2.3.4 - a [x] "b" 1 1',
    "1.2.3.4 - ';echo '[S]';cd /tmp;echo '[E]';'",
    "ÄÖ 1.2.3.4 - -",
    "-:80 a.example - -",
    "a.example:80 b.example - -",
    "a.b:1 c - d e",
    "1a.2b:80 - -",
    "localhost - -",
    "1:: - -",
    "::1%a%b - -",
    "12345::1 - -",
    "1:2:3:4:5:6:7:: - -",
)
STAMPS = (
    *(f"05/Jan/2026:12:{minute:02}:{second:02} +0000" for minute in (0, 1, 29, 30, 31, 59) for second in (0, 1)),
    "05/Jan/2026:12:00:00 -0530",
    "06/Jan/2026:11:59:59 +0000",
    "06/Jan/2026:12:00:00 +0000",
    "31/Jun/2026:12:00:00 +0000",
    "29/Feb/2024:00:00:00 +0000",
    "29/Feb/2025:00:00:00 +0000",
    "05/Ago/2026:12:00:00 +0000",
    "05/Jan/2026:24:00:00 +0000",
    "05/Jan/2026:23:59:60 +0000",
    "05/Jan/2026:12:00:00 -9900",
    "05/Jan/2026:12:00:00",
    "05/Jan/0001:12:00:00 +0000",
    "05/Jan/9999:12:00:00 +0000",
    "31/Dec/2148:23:59:59 +0000",
    "01/Jan/1971:00:00:00 +0000",
    "00/Jan/2026:12:00:00 +0000",
    "5/Jan/2026:12:00:00 +0000",
    "x" * 40,
    "x" * 41,
    "",
    "05/Jan/2026:12:00:00 +2360",
    "05/Jan/2026:12:00:00 +2359",
)
TARGETS = (
    "/",
    "/about",
    "/shuttle/countdown/",
    "/ksc.HTML",
    "/index.php?id=3.png",
    "/page.html#top?x",
    "/v1.2/",
    "/login;jsessionid=A1.B2",
    "/a b.html",
    "/ä/ö.html",
    "http://example.org:80/a?b",
    "https://A.Example/x.js",
    "http://[",
    "http://[::1]:80/x",
    "http:///x",
    "http://u:p@h/x",
    "*",
    "google.com:443",
    "/app/start.js?v=2",
    "/a.css",
    "/images/ksclogo.GIF",
    "/robots.txt",
    "/blog/feed/",
    "/sitemap-2.xml",
    "/manual.pdf",
    "/.git/config",
    "/.env",
    "/a/./b",
    "//",
    "/x?y?z#w",
    "/john.doe/",
    "/?utm_source=a+b&utm_medium=%41%c3%a4&utm_campaign=&utm_campaign=c&utm_term=%1b[2J&utm_content=%zz%&gclid=1&gad_source=2&fbclid=3",
    "/?utm_source=%ff%ffx",
    "/?utm_source=first&utm_source=second",
    "/?xutm_source=a&utm_sourcex=b&utm_source",
    "/?q=utm_",
    "/?a&utm_source=b=c",
    "/?utm_source=%e2%80%ae",
    "/?utm_source=%C2%A0x",
    r"/say?\"hello\"",
    r"/\x22;rm",
    "/feed;x",
    "/a.php/",
    "/a.",
    "/.",
    "/a/../b",
    "/a.b.HTM",
    "/x\\",
)
METHODS = ("GET", "GET", "GET", "POST", "HEAD", "get", "SSTP_DUPLEX_POST", "-", "G-T", "1GET")
REQUESTS = (
    "",
    "-",
    r"\x16\x03\x01\x00\xEE",
    r"{\x22id\x22: 1}",
    "SSH-2.0-Go",
    "GET / ICAP/1.0",
    "GET /ksc.html",
    "GET  / HTTP/1.0 ",
    "GET HTTP/1.0",
    "GET  HTTP/1.0",
    "GET /a   HTTP/1.0",
    "GET / HTTP/V1.0",
    "GET /a b",
    "POST /a",
    "GET",
    r"GET / \x7f",
    "CONNECT example.com:443 HTTP/1.1",
    "GET x",
    "GET / HTTP/1.0 HTTP/1.1",
    "GET /a HTTP/1.1 x",
)
STATUSES = ("200", "200", "200", "304", "206", "302", "404", "502", "101", "999", "-", "20", "2000")
REFERRERS = (
    "-",
    "",
    "https://www.Google.com/search?q=x",
    "http://10.134.133.34:443/",
    "https://user:secret@example.org/",
    "www.example.org",
    "javascript:alert(1)",
    "http://[",
    "http://[::1",
    "http://[::1]/",
    "http://[FE80::A]:80/",
    "http:///path",
    " http://spaced.example/",
    "HTTPS://Upper.Example",
    "https://ÄÖ.example/",
    "http://a@b@c.example/",
    "https://example.org",
    "https://www.example.org/x",
    "http://x.example?q#f",
    "http://x]y/",
    "https://%41.b%Zz/",
)
AGENTS = (
    FIREFOX,
    "-",
    "",
    "curl/8",
    "Mozilla/5.0 (iPhone) Version/26.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14) Chrome/141.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 14) Chrome/1",
    "X Edg/1 Chrome/1 Windows",
    "Windows Phone Android",
    "MACINTOSH bot",
    r"a \"quoted\" \\ agent",
    "Version/ Safari/ CrOS",
    "OPR/ Opera",
)
AFTERS = (
    "",
    "",
    "",
    ' "203.0.113.9" rt=0.004',
    ' "8.8.8.8, 10.0.0.1"',
    ' "-" "1.2.3.4"',
    ' "x, 1.2.3.4" "::ffff:9.9.9.9"',
    ' "10.0.0.9,10.0.0.8"',
    " x",
    '"x"',
    ' ""',
)
STRANGE = (
    "",
    " ",
    "\u2003 ",
    "\t",
    "Starting nginx",
    "a\x1b[2J",
    "\u202e",
    "\x85",
    "\N{LATIN SMALL LETTER LONG S}",
    "\ue000",
    'x [y] "z" 1 1',
    "A" * 300,
)


@st.composite
def logged(draw: st.DrawFn) -> bytes:
    """A line, in one of the two formats or nearly so."""
    request = draw(
        st.sampled_from(REQUESTS)
        | st.builds("{} {} HTTP/1.1".format, st.sampled_from(METHODS), st.sampled_from(TARGETS))
        | st.sampled_from(TARGETS).map("GET {} HTTP/1.1".format)
    )
    before, stamp, status = (draw(st.sampled_from(one)) for one in (BEFORE, STAMPS, STATUSES))
    line = f'{before} [{stamp}] "{request}" {status} 5'
    if draw(st.booleans()):
        referrer, agent, after = (draw(st.sampled_from(one)) for one in (REFERRERS, AGENTS, AFTERS))
        line += f' "{referrer}" "{agent}"{after}'
    raw = line.encode() + draw(st.sampled_from([b"", b"", b"\r"]))
    if draw(st.integers(0, 4)) == 0:  # damaged
        start, length = draw(st.integers(0, len(raw))), draw(st.integers(0, 20))
        raw = (
            raw[:start] + draw(st.binary(max_size=4) | st.sampled_from(STRANGE).map(str.encode)) + raw[start + length :]
        )
    return raw.replace(b"\n", b" ")


LINES = (
    logged()
    | st.sampled_from(STRANGE).map(str.encode)
    | st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b""))
)
