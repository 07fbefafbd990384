"""Where files lie, and the engine that reads them."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.sql import is_embedded
from dags.tests.file_ingestion.partner import Partner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client


@contextmanager
def readable(client: Client, directory: Path) -> Iterator[Path]:
    """A directory whose files the engine reads: the embedded one any, a server those below its ``user_files_path``."""
    if is_embedded(client):
        yield directory
        return
    found = client.query("SELECT value FROM system.server_settings WHERE name = 'user_files_path'").result_rows
    allowed = Path(found[0][0]) if found else Path()
    if allowed.parent.is_dir() and os.access(allowed.parent, os.W_OK):
        allowed.mkdir(exist_ok=True)
    if not os.access(allowed, os.W_OK):
        pytest.skip(f"the server reads files of {allowed}, which is not of this machine")
    made = allowed / directory.name
    made.mkdir()
    yield made
    shutil.rmtree(made)


@pytest.fixture
def server_files(client: Client, tmp_path: Path) -> Iterator[Path]:
    """A directory whose files the engine of ``client`` reads."""
    with readable(client, tmp_path) as directory:
        yield directory


# Where files lie, and the engine that reads them: each once in the default suite, all pairs every night.
PLACES = [
    ("directory", "embedded"),
    ("bucket", "server"),
    *(pytest.param(pair, marks=pytest.mark.slow) for pair in (("bucket", "embedded"), ("directory", "server"))),
]


@pytest.fixture(params=PLACES, ids="-".join)
def partner(request: pytest.FixtureRequest, emptied: Callable[[str], str], tmp_path: Path) -> Iterator[Partner]:
    """A partner who uploads to a place, and the engine that loads from there."""
    place, engine = request.param
    dsn = Dsn.parse(emptied(engine))
    with open_client(dsn, wait_seconds=60, who="tests") as client:
        if place == "bucket":
            yield Partner(dsn, client, tmp_path, request.getfixturevalue("bucket"))
            return
        with readable(client, tmp_path) as directory:
            yield Partner(dsn, client, directory)
