"""Keeps in ClickHouse which teams a run was asked to rebuild, where a configuration would be too long.

A run's configuration is stored with the run, shown in the UI and sent with each of its steps: of 20,000 teams it would
be hundreds of kilobytes a run. It names its plan instead; what a plan asked for is written before its runs are launched
and never changed.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from dags.clickhouse.schema.books import append
from dags.clickhouse.sql import Sql

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from clickhouse_connect.driver.client import Client

_TABLE = "web_pre_aggregated_requests"


def freeze(client: Client, plan_id: str, teams_by_unit: Mapping[tuple[str, date], Sequence[int]]) -> None:
    """Write down which teams a plan asks for, by table and day: one insert, so a reader finds all of it or nothing."""
    rows = [[plan_id, table, day, list(teams)] for (table, day), teams in sorted(teams_by_unit.items())]
    if rows:
        append(client, _TABLE, rows, ("plan_id", "table_name", "day", "team_ids"))


def frozen_teams(
    client: Client, wanted: Collection[tuple[str, date]]
) -> dict[tuple[str, date], dict[str, frozenset[int]]]:
    """Which teams plans asked for on some days, by plan and day, then by table; those that are unknown are absent.

    Teams that were asked for in several tables, or several times, are kept once.
    """
    found: dict[tuple[str, date], dict[str, frozenset[int]]] = defaultdict(dict)
    if wanted:
        seen: dict[frozenset[int], frozenset[int]] = {}
        bound = {"plans": sorted({plan for plan, _ in wanted}), "days": sorted({day for _, day in wanted})}
        for plan, day, table, team_ids in Sql("dags.repair.requests", client).rows("requested", bound):
            if (plan, day) in wanted:
                teams = frozenset(team_ids)
                found[plan, day][table] = seen.setdefault(teams, teams)
    return dict(found)
