"""Rows of the ledger, of the events of gaps and of the audit, as views fold them, written without what leaves them."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

TABLE = "a_table"


@dataclass(frozen=True)
class BuildRow:
    """What the ledger has of a unit's build."""

    table_name: str
    day: date
    team_id: int
    run_id: str
    outcome: str
    started_at: datetime
    finished_at: datetime
    source_events: int = 0
    error: str = ""


@dataclass(frozen=True)
class GapRow:
    """What an evaluation recorded when a gap opened or was over."""

    table_name: str
    day: date
    is_held: bool
    event: str
    at: datetime
    units: int = 0
    reason: str = ""
    closed_by: str = ""


@dataclass(frozen=True)
class EventRow:
    """What the audit has of a step of work."""

    backfill_id: str
    origin: str
    table_name: str
    event: str
    step: str
    run_id: str
    at: datetime
    rows: int = 0
    rows_read: int = 0
    bytes_read: int = 0
    seconds: float = 0.0
    detail: str = ""


def insert_builds(client: Client, rows: Iterable[BuildRow]) -> None:
    _insert(client, "web_pre_aggregated_builds", BuildRow, [astuple(row) for row in rows])


def insert_gaps(client: Client, rows: Iterable[GapRow]) -> None:
    _insert(client, "web_analytics_gaps", GapRow, [astuple(row) for row in rows])


def insert_events(client: Client, rows: Iterable[EventRow]) -> None:
    _insert(client, "web_analytics_backfill_events", EventRow, [astuple(row) for row in rows])


def _insert(client: Client, table: str, kind: type, data: list[tuple[object, ...]]) -> None:
    if data:
        client.insert(table, data, column_names=[one.name for one in fields(kind)])
