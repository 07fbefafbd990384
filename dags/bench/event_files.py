"""What the files hold that are loaded in benchmarks: events, with the columns of web pages."""

from __future__ import annotations

# The columns of the files, each with its type there and what makes it of a row's number.
COLUMNS = {
    "team_id": ("UInt64", "1 + n % 50"),
    "uuid": ("String", "toString(reinterpretAsUUID(n + 1))"),
    "event": ("String", "if(n % 4 = 0, '$autocapture', '$pageview')"),
    "timestamp": ("DateTime64(6, 'UTC')", "toDateTime64('2026-01-05 00:00:00', 6, 'UTC') + n % 86400"),
    "distinct_id": ("String", "concat('visitor-', toString(n % 100000))"),
    "session_id": ("String", "concat('session-', toString(intDiv(n, 8)))"),
    "host": ("String", "'www.example.com'"),
    "pathname": ("String", "concat('/articles/', toString(n % 5000))"),
    "referring_domain": ("String", "if(n % 3 = 0, '', 'google.com')"),
    "browser": ("String", "if(n % 2 = 0, 'Chrome', 'Firefox')"),
    "os": ("String", "if(n % 2 = 0, 'Windows', 'iOS')"),
    "viewport_width": ("Int64", "1920"),
}
STRUCTURE = ", ".join(f"{name} {type_}" for name, (type_, _) in COLUMNS.items())
VALUES = ", ".join(f"{made} AS {name}" for name, (_, made) in COLUMNS.items())
NAMES, COUNT = ", ".join(COLUMNS), len(COLUMNS)
