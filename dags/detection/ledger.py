"""The build ledger: one row for each build of a unit. It gives a gap its reason; the data gives the truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dags.clickhouse.schema.books import append
from dags.domain.units import Fingerprint, Measure, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

# An error as long as this says what is wrong; ClickHouse appends stack traces to some.
ERROR_CHARACTERS = 1000


@dataclass(frozen=True)
class BuildRecord:
    """A row of the build ledger: what became of a unit, and from what.

    ``started_at`` is by ClickHouse's clock, which also stamps the end: the moment at which the row is appended, so that
    the last of two builds is the one that came last, whatever the clocks of their hosts say. ``logic_version`` is that
    of the build; 0 where nothing was built, as when a detection verified a unit.
    """

    table: str
    day: date
    team_id: int
    outcome: Outcome
    started_at: datetime
    run_id: str = ""
    logic_version: int = 0
    source: Fingerprint = field(default_factory=Fingerprint)
    measure: Measure = field(default_factory=Measure)
    error: str = ""


def append_to_ledger(client: Client, records: Iterable[BuildRecord]) -> None:
    """Append build records; nothing is ever changed there."""
    rows = [
        {
            "table_name": r.table,
            "day": r.day,
            "team_id": r.team_id,
            "run_id": r.run_id,
            "logic_version": r.logic_version,
            "outcome": str(r.outcome),
            "source_events": r.source.events,
            "source_qualifying": r.source.qualifying,
            "source_newest": r.source.newest,
            "sessions": r.measure.distinct,
            "pageviews": r.measure.total,
            "error": r.error[:ERROR_CHARACTERS],
            "started_at": r.started_at,
        }
        for r in records
    ]
    if rows:
        data = [list(row.values()) for row in rows]
        append(client, "web_pre_aggregated_builds", data, list(rows[0]))


@dataclass(frozen=True)
class Verified:
    """Units of one table and day that a detection found in order, in columns of one length.

    ``events``, ``qualifying`` and ``newest``, in microseconds since 1970, are the fingerprint that was read before they
    were counted; ``distinct`` and ``total`` what was counted.
    """

    table: str
    day: date
    teams: Sequence[int]
    events: Sequence[int]
    qualifying: Sequence[int]
    newest: Sequence[int]
    distinct: Sequence[int]
    total: Sequence[int]


def append_verified(client: Client, found: Iterable[Verified], started_at: datetime) -> None:
    """Append what a detection verified: one insert, whatever the number of units."""
    columns: dict[str, list[object]] = {
        name: []
        for name in (
            "table_name", "day", "outcome", "started_at", "team_id", "source_events",
            "source_qualifying", "source_newest", "sessions", "pageviews",
        )
    }  # fmt: skip
    for one in found:
        shared = (one.table, one.day, str(Outcome.VERIFIED), started_at)
        own = (one.teams, one.events, one.qualifying, one.newest, one.distinct, one.total)
        values = (*([value] * len(one.teams) for value in shared), *own)
        for column, more in zip(columns.values(), values, strict=True):
            column.extend(more)
    if columns["team_id"]:
        append(client, "web_pre_aggregated_builds", list(columns.values()), list(columns), is_by_column=True)
