"""Hosts that hear alerts, on this machine: of HTTP and of mail, alive, refusing, slow, and none at all."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage


class Host:
    """One that hears by HTTP.

    ``heard`` are the bodies that it took, parsed where they are JSON; ``status`` is what it answers, after ``seconds``.
    """

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.status = 200
        self.seconds = 0.0
        self.port = 0

    def url(self, scheme: str = "json") -> str:
        return f"{scheme}://somebody:sesame@127.0.0.1:{self.port}/a-secret-path"

    @property
    def subjects(self) -> list[str]:
        return [one["title"] for one in self.heard]


@contextmanager
def hearing() -> Iterator[Host]:
    """A host that hears by HTTP."""
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            time.sleep(host.seconds)
            if host.status < 300:
                host.heard.append(json.loads(body) if body.startswith("{") else body)
            self.send_response(host.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    host.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Mailbox:
    """What a mail server took."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 -- aiosmtpd's
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@contextmanager
def taking_mail() -> Iterator[tuple[str, Mailbox]]:
    """A mail server: apprise's URL of it, and what it took."""
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield f"mailto://127.0.0.1:{controller.port}?from=alerts@example.com&to=me@example.com&mode=insecure", mailbox
    finally:
        controller.stop()


def free_port() -> int:
    """One on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
