"""Databases of a test's own: the shared one is not for tests that alter the schema."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client


@contextmanager
def own_database(dsn_text: str) -> Iterator[tuple[str, Client]]:
    """A new, empty database beside that of the DSN, dropped in the end: its DSN as a setting has it, and a client."""
    name = f"own_{uuid4().hex}"
    beside = f"{dsn_text}?database={name}" if dsn_text.startswith("chdb:") else f"{dsn_text.rpartition('/')[0]}/{name}"
    with open_client(Dsn.parse(beside), wait_seconds=60, create_database=True, who="tests") as client:
        try:
            yield beside, client
        finally:
            client.command(f"DROP DATABASE {name} SYNC")
