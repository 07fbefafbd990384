"""The floor of a tick: whoever runs it in a process of its own imports nothing for it, and has the engine open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def ask_nothing(client: Client) -> None:
    """Have the engine answer."""
    client.command("SELECT 1")
