"""The audit in ClickHouse: events that are appended, and read as one row a piece of work."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dags.clickhouse.leases.rules import run_key
from dags.clickhouse.replicas.store import shard_at
from dags.clickhouse.schema.books import append
from dags.clickhouse.sql import Sql
from dags.domain.errors import UserError
from dags.domain.expression import Expression
from dags.domain.shards import looked_for_on
from dags.domain.units import EPOCH
from dags.work.audit.log import Ask, Entry, Event, State, Status, Work, asks_of, state_of, unheard_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

    from dags.work.kinds import KindOfWork

_PACKAGE = "dags.work.audit"

_OF_WORK, _OF_EVENT = ([one.name for one in fields(kind)] for kind in (Work, Entry))

# The table is older than kinds of work, and keeps the names that its first kind gave these columns.
_TABLE = "web_analytics_backfill_events"
_KEPT_AS = {"work_id": "backfill_id", "kind": "origin", "subject": "table_name", "payload": "detail"}

# Before 0.6.0 steps were days, in columns of their own, and events were named after them. The table's view,
# web_analytics_work_events, says the same in SQL.
_DATED = {"first_step": "start_date", "last_step": "end_date", "step": "day"}
_ONCE = {"day_done": Event.STEP_DONE, "day_failed": Event.STEP_FAILED, "day_restored": Event.STEP_UNDONE}

# By which a step is done, fails or is undone.
_OF_STEPS = (Event.STEP_DONE, Event.STEP_FAILED, Event.STEP_UNDONE)

_KEPT = [_KEPT_AS.get(name, name) for name in (*_OF_WORK, *_OF_EVENT)]
_COLUMNS = Expression(", ".join([*_KEPT, *_DATED.values()]))


@dataclass(frozen=True)
class Row:
    """A row of ``web_analytics_work_log``. Where that was asked for, ``end`` is how it ended last, and ``is_at_work``
    whether a run that lives has its lease.
    """

    work: Work
    status: str
    rows: int
    started_at: datetime
    completed_at: datetime | None
    requested_by: str
    reason: str
    run_id: str
    end: Entry | None = None
    is_at_work: bool = False

    @property
    def work_id(self) -> str:
        return self.work.work_id


class Log:
    """The events of one piece of work. ``run_id`` is stamped on what is appended."""

    def __init__(self, client: Client, work: Work, run_id: str) -> None:
        self._client = client
        self.work = work
        self.run_id = run_id

    def read(self) -> State | None:
        """Everything that happened, and what it amounts to; None if the work is not known."""
        return read_state(self._client, self.work.work_id)

    def asks(self) -> tuple[Ask, ...]:
        """What people ever asked of it, in order: to be ``paused`` or ``cancelled``."""
        rows = Sql(_PACKAGE, self._client).rows("asks", {"work_id": self.work.work_id})
        return asks_of([_asking(row) for row in rows], rows[-1][-1]) if rows else ()

    def append(self, *entries: Entry) -> None:
        """Append events, all in one insert, stamped by ClickHouse and after all that the log has; the stamps of
        an `Entry` are not looked at.
        """
        if not entries:
            return
        at, server_at = Sql(_PACKAGE, self._client).row("next_instant", {"work_id": self.work.work_id})
        rows = [
            {
                **asdict(self.work),
                **{name: _storable(value) for name, value in asdict(entry).items()},
                "event": str(entry.event),
                "run_id": entry.run_id or self.run_id,
                "at": at + timedelta(microseconds=number),
                "server_at": server_at,
            }
            for number, entry in enumerate(entries)
        ]
        columns = [_KEPT_AS.get(name, name) for name in rows[0]]
        append(self._client, _TABLE, [list(row.values()) for row in rows], columns)


def _storable(value: Any) -> Any:  # noqa: ANN401 -- a value of any field
    """A value as ClickHouse takes it: half a character, as in the words of somebody's error, hides no event."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def read_state(client: Client, work_id: str) -> State | None:
    """What the events of a piece of work amount to; None if none was accepted under this id."""
    rows = Sql(_PACKAGE, client).rows("events_of", {"work_id": work_id}, columns=_COLUMNS)
    every = [_as_named_now(row) for row in rows]
    # Before 0.6.0 no other event had the kind.
    work = next((work for work, entry in every if entry.event == Event.ACCEPTED), None)
    return state_of(work, (entry for _, entry in every), rows[-1][-1]) if work is not None else None


def _as_named_now(row: Sequence[Any]) -> tuple[Work, Entry]:
    """A row of ``events_of``, whichever version wrote it."""
    values = dict(zip((*_OF_WORK, *_OF_EVENT, *_DATED.values()), row[:-1], strict=True))
    for step, column in _DATED.items():
        date = values.pop(column)
        if not values[step] and date != EPOCH.date():
            values[step] = str(date)
    values["event"] = _ONCE.get(values["event"], values["event"])
    return Work(*(values[name] for name in _OF_WORK)), Entry(*(values[name] for name in _OF_EVENT))


def require_state(client: Client, kind: KindOfWork, work_id: str) -> State:
    """The state of work that must be there; the first characters of its id are enough, with its kind's word or without.

    Raises:
        UserError: none or more than one begins so; which shard was asked, where there are several.
    """
    bound = {"starts": [work_id, f"{kind.word}-{work_id}"], "kinds": list(kind.shown)}
    known = [found for (found,) in Sql(_PACKAGE, client).rows("ids", bound)]
    matching = [one for one in known if one == work_id] or known
    if len(matching) != 1 or not work_id:
        so = f"{len(matching)} {kind.word}s begin so" if matching and work_id else f"no {kind.word}'s id begins so"
        where = looked_for_on(*shard_at(client))
        raise UserError(f"{kind.id_field} is {work_id!r}: {so}{where}. {kind.job('show')} lists them")
    found = read_state(client, matching[0])
    if found is None:
        raise UserError(f"{matching[0]} has no accepted plan in the log; it cannot be continued")
    return found


def read_works(
    client: Client, *, kinds: Collection[str] = (), statuses: Collection[str] = (), subject: str = ""
) -> tuple[Row, ...]:
    """The audit's rows, newest first; what is left out stands for any."""
    bound = {"kinds": list(kinds), "statuses": sorted(map(str, statuses)), "subject": subject}
    count = len(_OF_WORK)
    return tuple(Row(Work(*row[:count]), *row[count:]) for row in Sql(_PACKAGE, client).rows("works", bound))


def read_unheard(client: Client, work_id: str = "") -> dict[str, str]:
    """What was asked of works, or of one, and was not carried out yet: to be ``paused`` or ``cancelled``."""
    by_work: dict[str, list[Entry]] = {}
    sql = Sql(_PACKAGE, client)
    for row in sql.rows("asks", {"work_id": work_id}) if work_id else sql.rows("asks_of_all"):
        by_work.setdefault(row[0], []).append(_asking(row))
    return {work: unheard for work, entries in by_work.items() if (unheard := unheard_of(entries))}


def _asking(row: Sequence[Any]) -> Entry:
    """The event of a row of ``asks``."""
    _, event, status, name, requested_by, reason, run_id, at, server_at, _ = row
    return Entry(
        event, status, name=name, requested_by=requested_by, reason=reason, run_id=run_id, at=at, server_at=server_at
    )


def read_endings(client: Client) -> dict[str, Entry]:
    """How works ended last, and why; of one that was deleted since, how before that."""
    return {
        work_id: Entry(Event.ENDED, status, payload=payload, requested_by=requested_by, reason=reason)
        for work_id, status, payload, requested_by, reason in Sql(_PACKAGE, client).rows("endings")
    }


def read_changes(
    client: Client, kind: str, step: str, events: Collection[str] = _OF_STEPS
) -> tuple[tuple[Work, Entry], ...]:
    """What works of a kind did to a step, in order; each event with who had its run do that, and why.

    ``events``: which count; a kind may have some of its own.
    """
    bound = {"kind": kind, "step": step, "events": list(map(str, events))}
    rows = Sql(_PACKAGE, client).rows("changes", bound)
    return tuple(
        (
            Work(work_id, kind, subject),
            Entry(event, step=step, rows=rows, run_id=run_id, at=at, requested_by=requested_by, reason=reason),
        )
        for work_id, subject, event, rows, run_id, at, requested_by, reason in rows
    )


def read_works_of(client: Client, run_id: str) -> tuple[State, ...]:
    """The works that a run has begun, gone on with or taken back, each with everything that happened to it."""
    found = Sql(_PACKAGE, client).rows("works_of_run", {"run_id": run_id})
    return tuple(state for (work_id,) in found if (state := read_state(client, work_id)) is not None)


def at_work(client: Client, kind: str, living: Collection[str]) -> tuple[Row, ...]:
    """The works of a kind whose run is among ``living``, as `run_key` has them.

    One whose run died keeps nobody waiting: it is resumed by a person, if at all.
    """
    busy = (Status.RUNNING, Status.ROLLING_BACK)
    return tuple(row for row in read_works(client, kinds=[kind], statuses=busy) if run_key(row.run_id) in living)
