"""Lines of web server access logs, in Common or Combined Log Format, as hits.

Whoever can send a request writes into such a log, so it is read as hostile text: every line becomes a hit or
a piece of rubbish of a named kind, no line is fatal, and nothing in it is evaluated or un-escaped. What a hit
means (a page view or not) is for ``page_views``.

Accepted beside the two formats: more fields before the address, such as a site's name (Apache's ``vhost_combined``) or
what syslog puts before a line, see ``visitor``, and further fields after the user agent (nginx's ``main``).

Pure. Which files there are, and how they are packed, is for ``log_files``.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from dags.demo.traffic.visitor import FIELDS, Visitor, visitor

# Longer lines are rubbish. Apache refuses a request line over 8,190 bytes and nginx one over 32 KiB with
# their default settings; a referrer and a user agent come on top, and escapes write one byte as four.
MAX_LINE_BYTES = 256 * 1024

# Characters of a rubbish line that a sample shows: fits a terminal line beside its kind.
SAMPLE_WIDTH = 60

# Years that a line may carry, both sides in UTC: the epoch, and a bound that `DateTime64(6)` (to 2299) holds.
FIRST_YEAR, LAST_YEAR = 1970, 2199


class RubbishKind(StrEnum):
    """Why a line is no hit. The value is what a report prints."""

    BLANK = "blank line"
    TOO_LONG = "line over 256 KiB"
    NOT_UTF8 = "bytes that are not UTF-8"
    UNPRINTABLE = "unprintable characters"
    MALFORMED = "not Common or Combined Log Format"
    NO_ADDRESS = "no address of a visitor"
    BAD_TIMESTAMP = "timestamp that does not exist"
    BAD_STATUS = "status that is not 100 to 599"
    EMPTY_REQUEST = "no request"
    BINARY_REQUEST = "binary bytes where a request belongs"
    NOT_HTTP = "request line that is not HTTP"
    BROKEN_STREAM = "compressed stream that breaks off"


class Hit(NamedTuple):
    """One answered HTTP request, as logged: escapes and percent-encoding are left as they stand.

    ``host`` is the site, empty unless the line names it before the address; ``referrer`` and ``user_agent`` are empty
    when the line has none.
    """

    line: int
    at: datetime
    address: str
    host: str
    method: str
    target: str
    status: int
    referrer: str
    user_agent: str


class Rubbish(NamedTuple):
    """One line that is no hit.

    ``sample`` is escaped ASCII, safe to print: the beginning of the line, or of the request when that is at
    fault. ``file`` is the name of the log's file where it has several.
    """

    line: int
    kind: RubbishKind
    sample: str
    file: str = ""


# A quoted field; servers escape a quote in it as \" or \x22. Possessive, so that a hostile line costs no
# backtracking; the bound on the timestamp has the same reason.
_QUOTED = r'"((?:[^"\\]++|\\.)*+)"'
_LINE = re.compile(
    r"(\S.*?) \[([^\[\]]{1,40})\] " + _QUOTED + r" (\S+) (?:[0-9]+|-)(?: " + _QUOTED + " " + _QUOTED + r"( .*)?)?",
    re.ASCII,
)
_TIMESTAMP = re.compile(
    r"([0-9]{2})/([A-Z][a-z]{2})/([0-9]{4}):([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-5][0-9])"
)
_STATUS = re.compile(r"[1-5][0-9]{2}")
_METHOD = re.compile(r"[A-Z][A-Z_-]*")
# How servers write a byte that is no text; \x22 and \x5C, a quote and a backslash, are text.
_BINARY_ESCAPE = re.compile(r"\\x(?:[01][0-9A-F]|7F|[89A-F][0-9A-F])", re.IGNORECASE)
# Not `strptime`'s %b, which follows the machine's locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_BY_NAME = {name: number for number, name in enumerate(_MONTHS, start=1)}


def parse_line(raw: bytes, line: int) -> Hit | Rubbish:
    """Read one line of a log: any bytes, with or without a line end; ``line`` is its number, from 1.

    The timestamp's offset is honoured: ``Hit.at`` is in UTC. An HTTP/0.9 request (``GET /path`` and no
    protocol) is a request, as it was in 1995.
    """
    try:
        before, timestamp, request, status, referrer, user_agent, after = _fields(_text(raw))
        who = _visitor(before, after)
        method, target = _request(request)
        return Hit(
            line,
            _instant(timestamp),
            *who,
            method,
            target,
            _status(status),
            _logged(referrer),
            _logged(user_agent),
        )
    except _NotAHitError as found:
        return Rubbish(line, found.kind, printable(raw if found.culprit is None else found.culprit.encode()))


def printable(raw: bytes) -> str:
    """Show bytes as escaped ASCII, at most ``SAMPLE_WIDTH`` characters, cut ones with an ellipsis."""
    text = ascii(raw[:SAMPLE_WIDTH])[1:]
    is_cut = len(raw) > SAMPLE_WIDTH or len(text) > SAMPLE_WIDTH
    return text[: SAMPLE_WIDTH - 3] + "..." if is_cut else text


class _NotAHitError(Exception):
    """A line is no hit; ``culprit`` is the part that says why, when that tells more than the beginning."""

    def __init__(self, kind: RubbishKind, culprit: str | None = None) -> None:
        super().__init__(kind)
        self.kind = kind
        self.culprit = culprit


def _text(raw: bytes) -> str:
    if len(raw) > MAX_LINE_BYTES:
        raise _NotAHitError(RubbishKind.TOO_LONG)
    try:
        text = raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise _NotAHitError(RubbishKind.NOT_UTF8) from None
    if not text or text.isspace():
        raise _NotAHitError(RubbishKind.BLANK)
    if not text.isprintable():
        raise _NotAHitError(RubbishKind.UNPRINTABLE)
    return text


def _fields(text: str) -> tuple[str, ...]:
    """Split into what is before the timestamp, it, request, status, referrer, user agent, rest; "" is not there."""
    found = _LINE.fullmatch(text)
    if found is None:
        raise _NotAHitError(RubbishKind.MALFORMED)
    return found.groups("")


def _visitor(before: str, after: str) -> Visitor:
    if before.count(" ") < FIELDS - 1:
        raise _NotAHitError(RubbishKind.MALFORMED)
    if (found := visitor(before, after)) is None:
        raise _NotAHitError(RubbishKind.NO_ADDRESS, before)
    return found


# Lines of one second stand together, so a few entries answer nearly every call.
@lru_cache(maxsize=256)
def _instant(timestamp: str) -> datetime:
    found = _TIMESTAMP.fullmatch(timestamp)
    if found is None or found[2] not in _MONTH_BY_NAME:
        raise _NotAHitError(RubbishKind.BAD_TIMESTAMP, timestamp)
    day, year, hour, minute, second = (int(found[number]) for number in (1, 3, 4, 5, 6))
    offset = timedelta(hours=int(found[8]), minutes=int(found[9]))
    try:
        zone = timezone(-offset if found[7] == "-" else offset)
        at = datetime(year, _MONTH_BY_NAME[found[2]], day, hour, minute, second, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _NotAHitError(RubbishKind.BAD_TIMESTAMP, timestamp) from None
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise _NotAHitError(RubbishKind.BAD_TIMESTAMP, timestamp)
    return at


def _logged(field: str) -> str:
    return "" if field == "-" else field


def _status(status: str) -> int:
    if not _STATUS.fullmatch(status):
        raise _NotAHitError(RubbishKind.BAD_STATUS, status)
    return int(status)


def _request(request: str) -> tuple[str, str]:
    """Split a request line into method and target; blanks within a target are kept, around it dropped."""
    if request in {"", "-"}:
        raise _NotAHitError(RubbishKind.EMPTY_REQUEST)
    method, _, rest = request.partition(" ")
    if _METHOD.fullmatch(method):
        target, _, protocol = rest.rstrip().rpartition(" ")
        if protocol.startswith("HTTP/") and target.strip():
            return method, target.strip()
        target = rest.strip()
        if method == "GET" and target.startswith("/") and " " not in target:
            return method, target
    kind = RubbishKind.BINARY_REQUEST if _BINARY_ESCAPE.search(request) else RubbishKind.NOT_HTTP
    raise _NotAHitError(kind, request)
