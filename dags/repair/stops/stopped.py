"""Whether backfills may run, by the setting and by the switch: who has both at hand asks here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.repair.stops.store import Stop, read_switch
from dags.settings import current_settings

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def read_stop(client: Client) -> Stop | None:
    """Who stopped backfills; None while they may run."""
    return Stop() if current_settings().backfill_stopped else read_switch(client)


def why_stopped(client: Client) -> str:
    """Who stopped backfills, since when and why; empty while they may run."""
    stop = read_stop(client)
    return "" if stop is None else str(stop)
