"""The webhook against hosts that do their worst, over real sockets: it is bounded, reads nothing, shows nothing."""

from __future__ import annotations

import resource
import socketserver
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from dags.domain.errors import SettingsError
from dags.settings import read_settings
from dags.work.webhook import FAILURES, Webhook

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

TOKEN = "sesame-open"
# A deadline for these tests; the child itself takes up to a second to start on a busy machine.
SECONDS = 3.0
CHUNK, END = {"chunk": {"id": 1}, "percent": 50.0}, {"chunk": None, "percent": None}


@contextmanager
def a_host(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """A host that reads a request and answers as it likes; its address, and the requests it got."""
    heard: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            got = b""
            with suppress(OSError):
                while b"\r\n\r\n" not in got or not got.endswith(b"}"):
                    got += self.request.recv(65536)
                heard.append(got)
                answer(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/secret-path", heard
        finally:
            server.shutdown()
            thread.join()


def lines(url: str, *messages: dict[str, Any], token: str = TOKEN) -> tuple[list[str], float]:
    """The warnings, and the seconds that the longest message took."""
    text: list[str] = []
    webhook, longest = Webhook(url, token, text.append, SECONDS), 0.0
    for message in messages or (CHUNK,):
        began = time.monotonic()
        webhook.notify(message)
        longest = max(longest, time.monotonic() - began)
    for words in text:
        assert "the work goes on" in words
        assert "sesame" not in words
        assert "secret-path" not in words
    return text, longest


def dripping(start: bytes) -> Callable[[socket.socket], None]:
    def drip(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    return drip


def endless(start: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    def send(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(piece)

    return send


def absent(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")


def silent(connection: socket.socket) -> None:
    connection.recv(1)  # until the other side is gone


def test_a_host_that_never_comes_to_an_answer_is_given_up_at_the_deadline() -> None:
    trickling = dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    interim = endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)

    def given_up(answer: Callable[[socket.socket], None]) -> tuple[list[str], float, bytes]:
        with a_host(answer) as (url, heard):
            return *lines(url), heard[0]

    with ThreadPoolExecutor() as pool:
        for text, seconds, heard in pool.map(given_up, (trickling, interim, silent)):
            assert text == ["the webhook could not be told (no answer within 3 s); the work goes on"]
            assert SECONDS <= seconds < SECONDS + 2
            assert b"Bearer sesame-open" in heard


def test_of_the_body_nothing_is_read_be_it_slow_or_huge_or_that_of_a_redirect() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    long = b"Content-Length: 1500000000\r\n\r\n"
    with a_host(dripping(b"HTTP/1.1 200 OK\r\n" + long)) as (url, _):
        assert lines(url)[0] == []
    with a_host(endless(b"HTTP/1.1 200 OK\r\n" + long, b"x" * 1_000_000)) as (url, _):
        assert lines(url)[0] == []
    redirect = b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.invalid/\r\n" + long
    with a_host(endless(redirect, b"x" * 1_000_000)) as (url, heard):
        assert lines(url)[0] == ["the webhook answered 302; the work goes on"]
    assert len(heard) == 1
    grown = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss - before
    assert grown < 200_000  # KiB; Python with its HTTP client is a fifth of it


def test_no_header_is_obeyed() -> None:
    def later(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 503 No\r\nRetry-After: 40\r\nContent-Length: 0\r\n\r\n")

    with a_host(later) as (url, heard):
        text, _ = lines(url)
    assert text == ["the webhook answered 503; the work goes on"]
    assert len(heard) == 3


@pytest.mark.parametrize(
    ("url", "token", "why"),
    [
        ("http://no-such-host.invalid/secret-path", TOKEN, "ConnectionError"),
        ("http://127.0.0.1:1/secret-path", TOKEN, "ConnectionError"),
        ("http://127.0.0.1:1/secret-path", "sesame €", "UnicodeEncodeError"),
        ("http://127.0.0.1:1/secret-path", "sesame\r\nX: y", "InvalidHeader"),
        ("http://[::1/secret-path", TOKEN, "InvalidURL"),
        ("gopher://host/secret-path", TOKEN, "InvalidURL"),
    ],
)
def test_whatever_fails_is_a_warning_that_names_its_kind_and_shows_no_secret(url: str, token: str, why: str) -> None:
    text, _ = lines(url, token=token)
    assert text == [f"the webhook could not be told ({why}); the work goes on"]


def test_a_message_that_cannot_be_written_is_a_warning() -> None:
    assert "(TypeError)" in lines("http://127.0.0.1:1/", {"chunk": {1, 2}})[0][0]


def test_a_host_that_fails_costs_a_long_backfill_a_few_deadlines_and_is_told_of_the_end() -> None:
    with a_host(absent) as (url, heard):
        text, _ = lines(url, *[CHUNK] * 20, END)
    assert len(text) == len(heard) == FAILURES + 1
    assert text[FAILURES - 1].endswith("; it is told of the end and of nothing before")
    assert b'"chunk": null' in heard[-1]


def test_a_token_that_no_header_can_hold_is_refused_without_being_shown() -> None:
    name = "WEB_ANALYTICS_BACKFILL_WEBHOOK_TOKEN"
    for token in ("sesame€", "sesame open", "sesame\n", "sesame\x00"):
        with pytest.raises(SettingsError) as refused:
            read_settings({name: token})
        assert str(refused.value).startswith(f"{name} is not usable: give the token alone, printable ASCII")
        assert "sesame" not in str(refused.value)
    given = read_settings({name: TOKEN})
    assert given.backfill_webhook_token is not None
    assert given.backfill_webhook_token.get_secret_value() == TOKEN
    assert TOKEN not in repr(given)
