"""What tests of work share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dags.tests.work.copies import COPIED, Copies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn


@pytest.fixture
def copies(client: Client, dsn: Dsn) -> Iterator[Copies]:
    client.command(f"CREATE TABLE {COPIED} (number UInt64) ENGINE = MergeTree ORDER BY number")
    yield Copies(client, dsn)
    client.command(f"DROP TABLE IF EXISTS {COPIED} SYNC")
