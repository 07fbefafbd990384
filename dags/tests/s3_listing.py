"""The listing of a large bucket that is not there: what moto needs an hour for, in seconds.

It answers ListObjectsV2 and nothing else: pages, prefixes and the keys' order are as S3 has them, a delimiter is not
looked at, every signature will do. Objects cannot be read: asking for one is counted, and answered with 404.
Only the standard library is imported.
"""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_left
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "listing"
FIRST_DAY = date(2026, 1, 1)
DAYS = 365
# S3's own limit.
PAGE_KEYS = 1000


@dataclass(frozen=True)
class ListingServer:
    """Where it listens, what it lists, and what it was asked."""

    endpoint: str
    bucket: str
    keys: tuple[str, ...] = field(repr=False)
    _kinds: list[str] = field(repr=False)

    def url(self, prefix: str = "") -> str:
        """The address of a prefix or a pattern as ClickHouse's `s3()` takes it."""
        return f"{self.endpoint}/{self.bucket}/{prefix}"

    def requests(self) -> Counter[str]:
        """How often it was asked, by kind: `LIST`, and HTTP's methods for the rest.

        Since a moment: what it is now, minus what it was then.
        """
        return Counter(self._kinds)


@contextmanager
def running_listing(keys: int) -> Iterator[ListingServer]:
    """Serve a bucket of so many keys on a free port of 127.0.0.1.

    Keys are `year=2026/month=01/day=05/part-000123.jsonl.gz`, as many on each day of 2026 as on any other, or one more,
    and numbered through the year. An object has as many bytes as 1,000 and its number, was written at the end of its
    day, and has the MD5 of its key for an etag.
    """
    server = _Server(keys)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="S3 listing", daemon=True)
    thread.start()
    try:
        yield ListingServer(f"http://127.0.0.1:{server.server_port}", BUCKET, tuple(server.keys), server.kinds)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    def __init__(self, keys: int) -> None:
        self.days = [number * DAYS // keys for number in range(keys)]
        self.keys = [_key(day, number) for number, day in enumerate(self.days)]
        self.kinds: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def page(self, prefix: str, first: int, limit: int) -> str:
        """One page of what begins with the prefix. `first` is the place in all keys where the page before ended."""
        start = max(first, bisect_left(self.keys, prefix))
        # No key has a character above this one.
        end = bisect_left(self.keys, prefix + "\U0010ffff")
        stop = min(start + limit, end)
        is_cut = stop < end
        entries = "".join(
            f"<Contents><Key>{escape(self.keys[number])}</Key>"
            f"<LastModified>{FIRST_DAY + timedelta(days=self.days[number] + 1)}T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{hashlib.md5(self.keys[number].encode(), usedforsecurity=False).hexdigest()}&quot;</ETag>"
            f"<Size>{1000 + number}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for number in range(start, stop)
        )
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><MaxKeys>{limit}</MaxKeys>"
            f"<KeyCount>{max(stop - start, 0)}</KeyCount><IsTruncated>{str(is_cut).lower()}</IsTruncated>"
            + (f"<NextContinuationToken>{stop}</NextContinuationToken>" if is_cut else "")
            + f"{entries}</ListBucketResult>"
        )


def _key(day: int, number: int) -> str:
    written = FIRST_DAY + timedelta(days=day)
    return f"year={written:%Y}/month={written:%m}/day={written:%d}/part-{number:06d}.jsonl.gz"


class _Handler(BaseHTTPRequestHandler):
    """A connection for each request, as HTTP/1.0 has it: nobody still holds one when the server ends."""

    server: _Server

    def do_GET(self) -> None:
        if "list-type" not in self._query:
            self._answer_no_such("Key")
            return
        self.server.kinds.append("LIST")
        if urlsplit(self.path).path.strip("/") != BUCKET:
            self._answer(404, _error("NoSuchBucket"))
            return
        limit = min(int(self._query.get("max-keys", PAGE_KEYS)), PAGE_KEYS)
        first = int(self._query.get("continuation-token", 0))
        self._answer(200, self.server.page(self._query.get("prefix", ""), first, limit))

    def do_HEAD(self) -> None:
        self._answer_no_such("Key")

    @cached_property
    def _query(self) -> dict[str, str]:
        pairs = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        return {name: values[0] for name, values in pairs.items()}

    def _answer_no_such(self, what: str) -> None:
        self.server.kinds.append(self.command)
        self._answer(404, _error(f"NoSuch{what}"))

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's name
        """Nothing on stderr."""


def _error(code: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
