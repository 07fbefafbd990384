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


def lift_waiver(client: Client, waiver_id: str, requested_by: str) -> Waiver:
    """End a waiver; the one that was lifted.

    Raises:
        UserError: there is none of this id, or it was lifted before.
    """
    known = {waiver.waiver_id: waiver for waiver in read_waivers(client)}
    if waiver_id not in known:
        names = ", ".join(known) or "there is none"
        raise UserError(f"waiver_id is {waiver_id!r}: no waiver of that name is set. Those that are: {names}")
    _append(client, replace(known[waiver_id], requested_by=requested_by), "lifted")
    return known[waiver_id]


def _append(client: Client, waiver: Waiver, event: str) -> None:
    """Append an event; ClickHouse stamps it."""
    row = [
        waiver.waiver_id, event, waiver.table, sorted(waiver.teams), waiver.days.start, waiver.days.end - ONE_DAY,
        waiver.valid_until, waiver.reason, waiver.requested_by,
    ]  # fmt: skip
    append(client, "web_analytics_waivers", [row], _COLUMNS)
