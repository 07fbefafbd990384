"""Fixtures: each test that touches SQL gets an empty schema on the embedded engine and on a real server."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.schema.declared import required_columns
from dags.tests.clickhouse_server import require_or_skip_reason, server_for_tests
from dags.tests.world import World, new_world
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

ENGINES = ("embedded", "server")

# Where Linux keeps files in memory. A build makes and drops some fifteen tables of one row: on a disk, a quarter of the
# suite's CPU goes into the file system's own books.
IN_MEMORY = Path("/dev/shm")  # noqa: S108 -- pytest makes directories of its user's own in it
ROOM_BYTES = 2_000_000_000
if os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > ROOM_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))

# For faults put in on purpose: that a test fails is enough, the smallest example of it is nobody's interest.
settings.register_profile("no-shrinking", phases=(Phase.explicit, Phase.generate))


@pytest.fixture(scope="session")
def engine_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """The DSN of an engine by name, started when it is first asked for; its database is ``web_analytics``."""
    with ExitStack() as servers:
        known: dict[str, str] = {}

        def of(engine: str) -> str:
            if engine not in known:
                directory = tmp_path_factory.mktemp(engine)
                if engine == "embedded":
                    known[engine] = f"chdb://{directory}/data"
                else:
                    if reason := require_or_skip_reason():
                        # CI exists to see both engines; a person's laptop may lack all three ways to a server.
                        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
                    address = servers.enter_context(server_for_tests(directory))
                    known[engine] = address.dsn("web_analytics")
            return known[engine]

        yield of


@pytest.fixture(params=ENGINES)
def dsn_text(request: pytest.FixtureRequest, engine_dsn: Callable[[str], str]) -> str:
    """The DSN of an engine with this project's schema and no row in it, as a setting has it."""
    text = engine_dsn(request.param)
    with open_client(Dsn.parse(text), wait_seconds=60, create_database=True, who="tests") as client:
        _emptied(client)
    return text


@pytest.fixture
def dsn(dsn_text: str) -> Dsn:
    return Dsn.parse(dsn_text)


@pytest.fixture
def client(dsn: Dsn) -> Iterator[Client]:
    with open_client(dsn, wait_seconds=60, who="tests") as opened:
        yield opened


@pytest.fixture
def world(dsn_text: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The real definitions on that engine, with a Dagster instance of their own."""
    with new_world(dsn_text, monkeypatch) as opened:
        yield opened


def _emptied(client: Client) -> None:
    """Drop what a test made and empty the rest: several times as fast as a new database each."""
    apply_schema(client, WEB_TABLES)
    ours = required_columns().keys() - {"web_analytics_schema_version"}
    for (table,) in client.query("SHOW TABLES").result_rows:
        if table in ours:
            client.command(f"TRUNCATE TABLE {table} SYNC")
        elif not table.endswith(("_dict", "_schema_version", "_verdicts", "backfill_log")):
            client.command(f"DROP TABLE {table} SYNC")
