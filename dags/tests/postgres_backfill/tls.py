"""TLS before a PostgreSQL that has none, as the one of the development package: for tests of who verifies what."""

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
    """An authority, one of another name, and a server's certificate of the first, for ``localhost``."""

    authority: Path
    other_authority: Path
    server: Path
    server_key: Path


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
    run("x509", "-req", "-in", "server.csr", *signed_by, "-days", "2", "-extfile", "names", "-out", "server.pem")
    return Certificates(*(directory / name for name in ("authority.pem", "other.pem", "server.pem", "server.key")))


@contextmanager
def tls_before(port: int, certificates: Certificates) -> Iterator[int]:
    """A port of 127.0.0.1 where TLS is spoken, and passed on in clear to ``port``; who asks for none is sent away."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, context, port), daemon=True).start()
        yield listening.getsockname()[1]


def _accept(listening: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with suppress(OSError):  # the end of the test closes it
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_pass_on, args=(client, context, port), daemon=True).start()


def _pass_on(client: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with suppress(OSError), client, socket.create_connection(("127.0.0.1", port)) as server:
        if client.recv(len(SSL_REQUEST)) != SSL_REQUEST:
            return
        client.sendall(YES)
        with context.wrap_socket(client, server_side=True) as wrapped:
            back = threading.Thread(target=_copy, args=(server, wrapped), daemon=True)
            back.start()
            _copy(wrapped, server)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
