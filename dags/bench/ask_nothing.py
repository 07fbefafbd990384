"""The floor of a tick: who opens the engine as a tick does, and asks nothing; embedded, in a process of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import leave, open_client

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def ask_nothing(client: Client) -> None:
    """Have the engine answer."""
    client.command("SELECT 1")


if __name__ == "__main__":
    with open_client(Dsn.parse(os.environ["CLICKHOUSE_DSN"]), wait_seconds=60, who="bench") as opened:
        ask_nothing(opened)
    leave()
