"""Something between here and a server that answers in its place: an empty body, a page, half of an answer, nothing."""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# ``emptied``: ClickHouse's answer without its body. ``page``: somebody's own, with status 200. ``cut``: half of the
# body, then the end of the connection. ``silent``: none, until this here is over.
Fault = Literal["emptied", "page", "cut", "silent"]

_NOT_PASSED_ON = {"transfer-encoding", "content-length", "connection", "host"}


@dataclass
class Between:
    """Passes on each request and its answer, but for the answer to the one that ``at`` says, the first being 0."""

    port: int = 0
    at: int | None = None
    fault: Fault = "page"
    asked: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)

    def strike(self, at: int, fault: Fault) -> None:
        """Count from 0 again, and fail so at that request."""
        with self.guard:
            self.at, self.fault, self.asked = at, fault, 0

    def next(self) -> Fault | None:
        with self.guard:
            is_struck = self.asked == self.at
            self.asked += 1
            return self.fault if is_struck else None


@contextmanager
def between(host: str, port: int) -> Iterator[Between]:
    """Listens on a port of its own, in front of a server."""
    state = Between()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in pieces waits 40 ms for its first to be acknowledged

        def do_POST(self) -> None:
            body = self._body()
            fault = state.next()
            if fault == "silent":
                state.over.wait()
                self.close_connection = True
                return
            there = http.client.HTTPConnection(host, port, timeout=60)
            there.request(self.command, self.path, body, _passed_on(self.headers.items()))
            answer = there.getresponse()
            data, status, headers = answer.read(), answer.status, _passed_on(answer.getheaders())
            there.close()
            if fault == "page":
                status, headers, data = 200, {"Content-Type": "text/html"}, b"<html>please log in</html>"
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            sent = b"" if fault == "emptied" else data
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent[: len(sent) // 2] if fault == "cut" else sent)
            self.close_connection = fault == "cut"

        do_GET = do_POST  # noqa: N815 -- the base class's names

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        state.port = listening.server_port
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield state
        finally:
            state.over.set()
            listening.shutdown()


def _passed_on(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: value for name, value in headers if name.lower() not in _NOT_PASSED_ON}
