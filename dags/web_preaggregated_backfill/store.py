"""Reads everything that a decision needs from ClickHouse: what is wrong, and what stands in the way of repairs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dags.clickhouse.leases.rules import MANAGED_LEASE
from dags.detection.detection import Standing
from dags.detection.store import detect
from dags.repair.stops.store import why_stopped
from dags.work.audit.store import running_days

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime, timedelta

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.leases.rules import Lease
    from dags.detection.detection import Detection
    from dags.domain.watched import WatchedTable


def observe(
    client: Client,
    *,
    now: datetime,
    watched: Sequence[WatchedTable],
    lookback_days: int,
    settle: timedelta,
    reads_all_days: bool,
    verify_seconds: float,
) -> Detection:
    """As `dags.detection.store.detect`, and what keeps days from being launched."""
    found = detect(
        client,
        now,
        watched,
        lookback_days=lookback_days,
        settle=settle,
        reads_all_days=reads_all_days,
        verify_seconds=verify_seconds,
    )
    return replace(found, standing=Standing(why_stopped(client), _taken(client, found.living)))


def _taken(client: Client, living: Sequence[Lease]) -> dict[tuple[str, date], str]:
    """Who works on a table's day, or has it before it as a managed backfill does."""
    held = {(lease.table, lease.day): lease.run for lease in living}
    if any(lease.table.startswith(MANAGED_LEASE) for lease in living):
        held = running_days(client, {lease.run for lease in living}) | held
    return held
