"""Reads both clocks, this host's and ClickHouse's, and says so when they disagree."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.domain import clock
from dags.domain.clock import Clocks
from dags.domain.text import wrapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.clickhouse"


def read_clocks(client: Client) -> Clocks:
    """Both clocks; the host's between sending and answer, so that a slow answer is no skew."""
    before, began = clock.utc_now(), time.monotonic()
    (server,) = Sql(_PACKAGE, client).row("clock")
    read_at = time.monotonic()
    return Clocks(before + timedelta(seconds=(read_at - began) / 2), server, read_at)


def tell_of_skew(client: Client, tell: Callable[[str], None]) -> Clocks:
    """Read both clocks, and say so in a warning if they disagree: every command's first lines."""
    clocks = read_clocks(client)
    for warning in clocks.warnings:
        tell(wrapped(f"WARNING  {warning}"))
    return clocks
