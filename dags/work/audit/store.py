"""The audit in ClickHouse: events that are appended, and read as one row a backfill."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.leases.rules import run_key
from dags.clickhouse.sql import Sql
from dags.domain.days import ONE_DAY, DayRange
from dags.domain.errors import UserError
from dags.work.audit.log import AUTOMATIC, Ask, Entry, Event, State, Status, state_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.work.audit"
_COLUMNS = (
    "backfill_id", "event", "status", "origin", "table_name", "start_date", "end_date", "chunk", "day", "name",
    "is_passed", "rows", "total", "source_rows", "seconds", "requested_by", "reason", "run_id", "detail", "at",
    "server_at",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A row of ``backfill_log``."""

    backfill_id: str
    table: str
    start: date
    end: date
    status: str
    rows: int
    started_at: datetime
    completed_at: datetime | None
    origin: str
    requested_by: str
    reason: str
    run_id: str


class Log:
    """The events of one backfill. ``run_id`` is stamped on what is appended."""

    def __init__(self, client: Client, backfill_id: str, run_id: str) -> None:
        self._client = client
        self.backfill_id = backfill_id
        self.run_id = run_id

    def read(self) -> State | None:
        """Everything that happened, and what it amounts to; None if the backfill is not known."""
        return read_state(self._client, self.backfill_id)

    def asks(self) -> tuple[Ask, ...]:
        """What people ever asked of it, in order: to be ``paused`` or ``cancelled``."""
        rows = Sql(_PACKAGE, self._client).rows("asks", {"backfill_id": self.backfill_id})
        return tuple(Ask(Status(status), *facts) for status, *facts in rows)

    def append(self, *entries: Entry) -> None:
        """Append events, all in one insert, stamped by ClickHouse and after all that the log has; the stamps of
        an `Entry` are not looked at.
        """
        if not entries:
            return
        at, server_at = Sql(_PACKAGE, self._client).row("next_instant", {"backfill_id": self.backfill_id})
        rows = [
            (
                self.backfill_id, str(e.event), e.status, e.origin, e.table, e.start, e.end, e.chunk, e.day, e.name,
                e.is_passed, e.rows, e.total, e.source_rows, e.seconds, e.requested_by, e.reason,
                e.run_id or self.run_id, e.detail, at + timedelta(microseconds=number), server_at,
            )
            for number, e in enumerate(entries)
        ]  # fmt: skip
        self._client.insert("web_analytics_backfill_events", rows, column_names=_COLUMNS)


def read_state(client: Client, backfill_id: str) -> State | None:
    rows = Sql(_PACKAGE, client).rows("events_of", {"backfill_id": backfill_id})
    return state_of(backfill_id, (_entry(row) for row in rows), *(row[-1] for row in rows[-1:]))


def require_state(client: Client, backfill_id: str) -> State:
    """The state of a backfill that must be there; the first characters of its id are enough.

    Raises:
        UserError: none or more than one begins so.
    """
    known = [row.backfill_id for row in read_backfills(client)]
    matching = [one for one in known if one == backfill_id] or [one for one in known if one.startswith(backfill_id)]
    if len(matching) != 1 or not backfill_id:
        raise UserError(
            f"backfill_id is {backfill_id!r}: {len(matching) if backfill_id else 'no'} backfills begin so. "
            "`dagster job execute -j show_backfills_job` lists them"
        )
    found = read_state(client, matching[0])
    if found is None:
        raise UserError(f"{matching[0]} has no accepted plan in the log; it cannot be continued")
    return found


def read_backfills(
    client: Client, *, table: str = "", status: str = "", origin: str = "", limit: int = 1_000_000
) -> tuple[Row, ...]:
    """The audit's rows, newest first."""
    bound: dict[str, Any] = {"table": table, "status": status, "origin": origin, "limit": limit}
    return tuple(Row(*row) for row in Sql(_PACKAGE, client).rows("backfills", bound))


def read_unheard(client: Client, backfill_id: str = "") -> dict[str, str]:
    """What was asked of backfills, or of one, and was not carried out yet: to be ``paused`` or ``cancelled``."""
    return dict(Sql(_PACKAGE, client).rows("unheard", {"backfill_id": backfill_id}))


def open_days(client: Client, except_backfill: str = "") -> dict[tuple[str, date], str]:
    """The (table, day) that managed backfills have which are not over, and which backfill that is, in words."""
    found: dict[tuple[str, date], str] = {}
    for backfill_id, table, start, end, status, _ in Sql(_PACKAGE, client).rows("open_days"):
        if backfill_id != except_backfill:
            words = f"{backfill_id}, which is {status}"
            found |= {(table, day): words for day in DayRange(start, end + ONE_DAY)}
    return found


def running_days(client: Client, living: Collection[str]) -> dict[tuple[str, date], str]:
    """The (table, day) that a managed backfill has before it whose run is among ``living``, as `run_key` has them.

    One whose run died keeps nobody waiting: it is resumed by a person, if at all.
    """
    return {
        (table, day): run_id
        for _, table, start, end, status, run_id in Sql(_PACKAGE, client).rows("open_days")
        if status in (Status.RUNNING, Status.ROLLING_BACK) and run_key(run_id) in living
        for day in DayRange(start, end + ONE_DAY)
    }


def begin_automatic(client: Client, backfill_id: str, table: str, day: date, *, requested_by: str, reason: str) -> None:
    """Say that a run which the planner launched begins with a table's day. ``backfill_id`` is that run's."""
    entry = Entry(
        Event.ACCEPTED, Status.RUNNING, AUTOMATIC, table, day, day,
        requested_by=requested_by, reason=reason,
    )  # fmt: skip
    Log(client, _automatic(backfill_id, table), backfill_id).append(entry)


def end_automatic(client: Client, backfill_id: str, table: str, day: date, *, rows: int, problem: str) -> None:
    """Say what became of it. That it cannot be said is no reason to fail what was built."""
    event, status = (Event.DAY_FAILED, Status.FAILED) if problem else (Event.DAY_DONE, Status.COMPLETED)
    entry = Entry(event, status, "", table, day, day, day=day, rows=rows, detail=problem[:1000])
    with suppress(ClickHouseError):
        Log(client, _automatic(backfill_id, table), backfill_id).append(entry)


def end_dead_automatic(client: Client, run_ids: Collection[str], why: str) -> None:
    """Say of runs that the planner launched, and that died at work, what they cannot say themselves."""
    for row in read_backfills(client, origin=AUTOMATIC, status=Status.RUNNING):
        if row.run_id in run_ids:
            end_automatic(client, row.run_id, row.table, row.start, rows=0, problem=why)


def _automatic(run_id: str, table: str) -> str:
    return f"auto-{run_id[:8]}-{table.rpartition('_')[2]}"


def _entry(row: Sequence[Any]) -> Entry:
    event, status, origin, table, start, end, chunk, day, name, passed, rows, total, source_rows, *rest = row
    seconds, requested_by, reason, run_id, detail, at, server_at, _ = rest
    return Entry(
        Event(event), status, origin, table, start, end, chunk, day, name, bool(passed), rows, total, source_rows,
        seconds, requested_by, reason, run_id, detail, at, server_at,
    )  # fmt: skip
