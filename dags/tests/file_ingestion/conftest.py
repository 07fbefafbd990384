"""Directories that an engine may read files of."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dags.clickhouse.sql import is_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client


@pytest.fixture
def server_files(client: Client, tmp_path: Path) -> Iterator[Path]:
    """A directory whose files the engine reads: the embedded one any, a server those below its ``user_files_path``."""
    if is_embedded(client):
        yield tmp_path
        return
    found = client.query("SELECT value FROM system.server_settings WHERE name = 'user_files_path'").result_rows
    allowed = Path(found[0][0]) if found else Path()
    if allowed.parent.is_dir() and os.access(allowed.parent, os.W_OK):
        allowed.mkdir(exist_ok=True)
    if not os.access(allowed, os.W_OK):
        pytest.skip(f"the server reads files of {allowed}, which is not of this machine")
    made = allowed / tmp_path.name
    made.mkdir()
    yield made
    shutil.rmtree(made)
