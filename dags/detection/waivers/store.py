"""Waivers in ClickHouse: appended when set and when lifted, never changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dags.clickhouse.schema.books import append
from dags.clickhouse.sql import Sql
from dags.detection.waivers.rules import Waiver
from dags.domain.days import ONE_DAY, DayRange
from dags.domain.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_connect.driver.client import Client

_COLUMNS = (
    "waiver_id", "event", "table_name", "team_ids", "first_day", "last_day", "valid_until", "reason",
    "requested_by",
)  # fmt: skip


def read_waivers(client: Client) -> tuple[Waiver, ...]:
    """The waivers that were set and not lifted, expired ones among them."""
    return tuple(
        Waiver(waiver_id, DayRange(first, last + ONE_DAY), frozenset(teams), table, reason, by, until)
        for waiver_id, first, last, teams, table, reason, by, until in Sql("dags.detection.waivers", client).rows(
            "waivers"
        )
    )


def set_waiver(client: Client, waiver: Waiver) -> None:
    _append(client, waiver, "set")


def lift_waiver(clients: Sequence[Client], waiver_id: str, requested_by: str) -> Waiver:
    """End a waiver, on every shard that has it; the one that was lifted.

    Raises:
        UserError: there is none of this id, or it was lifted before.
    """
    known_by = [(client, {waiver.waiver_id: waiver for waiver in read_waivers(client)}) for client in clients]
    having = [(client, known[waiver_id]) for client, known in known_by if waiver_id in known]
    if not having:
        names = ", ".join(dict.fromkeys(name for _, known in known_by for name in known)) or "there is none"
        raise UserError(f"waiver_id is {waiver_id!r}: no waiver of that name is set. Those that are: {names}")
    for client, waiver in having:
        _append(client, replace(waiver, requested_by=requested_by), "lifted")
    return having[0][1]


def _append(client: Client, waiver: Waiver, event: str) -> None:
    """Append an event; ClickHouse stamps it."""
    row = [
        waiver.waiver_id, event, waiver.table, sorted(waiver.teams), waiver.days.start, waiver.days.end - ONE_DAY,
        waiver.valid_until, waiver.reason, waiver.requested_by,
    ]  # fmt: skip
    append(client, "web_analytics_waivers", [row], _COLUMNS)
