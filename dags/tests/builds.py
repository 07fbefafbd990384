"""Builds for tests, in few words."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from dags.publish.batches import Limits
from dags.publish.build import DayBuild
from dags.publish.moments import Checkpoint, Swap
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_connect.driver.client import Client

    from dags.publish.built import BuiltDay

DAY = date(2026, 1, 10)
TABLES = tuple(table.name for table in WEB_TABLES)
LIMITS = Limits(batch_events=1_000_000, max_memory_bytes=4 * 10**9)


class AtSwap(Checkpoint):
    """Does something just before each swap."""

    def __init__(self, act: Callable[[Swap], object]) -> None:
        self._act = act

    def before_swap(self, swap: Swap) -> None:
        self._act(swap)


def build(client: Client, *teams: int, day: date = DAY, run_id: str = "test-run", **changes: Any) -> BuiltDay:
    """Build a day for the teams, in both tables; limits, and whatever else a build takes, by name."""
    limits = {one.name: changes.pop(one.name) for one in fields(Limits) if one.name in changes}
    options = {
        "teams_by_table": dict.fromkeys(TABLES, teams),
        "tables": WEB_TABLES,
        "sleep": lambda _: None,
        **changes,
    }
    return DayBuild(client=client, day=day, run_id=run_id, limits=replace(LIMITS, **limits), **options).run()
