"""TLS before a server that has none, as those of the tests: a PostgreSQL's, or one of HTTP. Who verifies what?"""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What libpq asks first, and the answer that TLS may begin.
SSL_REQUEST = bytes.fromhex("0000000804d2162f")
YES = b"S"


@dataclass(frozen=True)
class Certificates:
    """An authority, one of another name, and a server's certificates of the first, for ``localhost``: one that is good,
    and one whose time is over.
    """

    authority: Path
    other_authority: Path
    server: Path
    server_key: Path
    expired: Path


def make_certificates(directory: Path) -> Certificates:
    """Made by openssl; the keys are for tests and live as long as the directory."""

    def run(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=directory)

    for name in ("authority", "other"):
        new_key = ("-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-subj", f"/CN={name}")
        run("req", "-x509", *new_key, "-days", "2", "-out", f"{name}.pem")
    run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-subj", "/CN=localhost", "-out", "server.csr")
    (directory / "names").write_text("subjectAltName=DNS:localhost")
    signed_by = ("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial")
    for days, name in (("2", "server.pem"), ("0", "expired.pem")):  # of none it is over when it is made
        run("x509", "-req", "-in", "server.csr", *signed_by, "-days", days, "-extfile", "names", "-out", name)
    files = ("authority.pem", "other.pem", "server.pem", "server.key", "expired.pem")
    return Certificates(*(directory / name for name in files))


@contextmanager
def tls_before(port: int, certificates: Certificates, *, is_expired: bool = False) -> Iterator[int]:
    """A port of 127.0.0.1 where TLS is spoken as PostgreSQL begins it, and passed on in clear to ``port``; who asks for
    none is sent away.
    """
    with _before(port, certificates, is_expired=is_expired, is_asked_for=True) as (own, _):
        yield own


@contextmanager
def tls_from_the_start(
    port: int, certificates: Certificates, *, is_expired: bool = False
) -> Iterator[tuple[int, bytearray]]:
    """The same where TLS is all that is spoken, as with HTTP; and what was said to it in confidence."""
    with _before(port, certificates, is_expired=is_expired, is_asked_for=False) as found:
        yield found


@contextmanager
def _before(
    port: int, certificates: Certificates, *, is_expired: bool, is_asked_for: bool
) -> Iterator[tuple[int, bytearray]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = certificates.expired if is_expired else certificates.server
    context.load_cert_chain(certificate, certificates.server_key)
    heard = bytearray()

    def pass_on(client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", port)) as server:
            if is_asked_for:
                if client.recv(len(SSL_REQUEST)) != SSL_REQUEST:
                    return
                client.sendall(YES)
            with context.wrap_socket(client, server_side=True) as wrapped:
                back = threading.Thread(target=_copy, args=(server, wrapped), daemon=True)
                back.start()
                _copy(wrapped, server, heard)
                back.join()

    def accept() -> None:
        with suppress(OSError):  # the end of the test closes it
            while True:
                client, _ = listening.accept()
                threading.Thread(target=pass_on, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1], heard


def _copy(source: socket.socket, target: socket.socket, heard: bytearray | None = None) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if heard is not None:
                heard += data
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
