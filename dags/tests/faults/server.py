"""A server that can be killed with -9 and comes back with its data, at the same address."""

from __future__ import annotations

import contextlib
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psutil

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.tests.clickhouse_server import ServerError, running_server
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from pathlib import Path


class Server:
    """A server in a directory, with this project's schema."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running = ExitStack()
        self._port: int | None = None
        self.start()
        with open_client(Dsn.parse(self.dsn()), wait_seconds=5, create_database=True) as client:
            apply_schema(client, WEB_TABLES)

    def dsn(self, port: int | None = None) -> str:
        return f"clickhouse://default@127.0.0.1:{port or self.port}/web_analytics"

    @property
    def port(self) -> int:
        if self._port is None:
            raise RuntimeError("the server was never started")
        return self._port

    def start(self) -> None:
        address = self._running.enter_context(running_server(self._directory, http_port=self._port))
        self._port = address.http_port

    def kill(self) -> None:
        """As the kernel does when memory is short: no goodbye, nothing flushed by the server."""
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                command = process.cmdline()
                if "supervise" not in command and any(str(self._directory) in part for part in command):
                    process.kill()
                    process.wait(10)
        with contextlib.suppress(ServerError):
            self._running.close()
        self._running = ExitStack()

    def stop(self) -> None:
        self._running.close()
