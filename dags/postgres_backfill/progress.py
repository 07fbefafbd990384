"""What people see of a backfill from PostgreSQL: what would be done, how far it is, and what became of it.

Pure: no clock, no database, no Dagster. Tables for people fit 100 columns.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dags.domain.days import in_words
from dags.domain.text import counted, table_text, wrapped
from dags.postgres_backfill.compiling import INTEGERS
from dags.postgres_backfill.log import Loaded, in_queue, landed_rows
from dags.sources.loads.shape import INFINITY, TIMES, Kind
from dags.work import history
from dags.work.audit.log import Status
from dags.work.progress import bar, seconds_at_work, seconds_in_words, took_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dags.postgres_backfill.plan import Plan
    from dags.sources.loads.verdicts import Checkpoint
    from dags.work.audit.log import State

# A line every so many seconds, and a picture in the UI.
EVERY_SECONDS = 5.0
_SHOWN = 40
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- the zone is said in words


@dataclass(frozen=True)
class Moved:
    """How much has landed, of all ranges: by the key, in rows, and so many rows a second of this run."""

    percent: float
    rows: int
    rate: float
    left: float

    def __str__(self) -> str:
        return f"{bar(self.percent)}  {self.rows:,} rows, {self.rate:,.0f} a second, {seconds_in_words(self.left)} left"


@dataclass
class Tally:
    """What the ranges of one run have come to. ``began`` and the moments it is told are of one clock, in seconds."""

    ranges: int
    began: float
    rows_before: int
    _shares: dict[int, float] = field(default_factory=dict)
    _rows: dict[int, int] = field(default_factory=dict)
    _told: float = 0.0

    @classmethod
    def of(cls, plan: Plan, checkpoints: Mapping[int, Checkpoint], done: frozenset[str], began: float) -> Tally:
        shares = {one.id: 1.0 for one in plan.ranges if set(one.steps) <= done}
        rows = {part: checkpoint.rows for part, checkpoint in checkpoints.items()}
        return cls(len(plan.ranges), began, sum(rows.values()), shares, rows, began)

    def moved(self, part: int, rows: int, share: float, now: float) -> Moved | None:
        """What to show; None where something was shown a moment ago."""
        self._shares[part], self._rows[part] = share, rows
        if now - self._told < EVERY_SECONDS:
            return None
        self._told = now
        return self.reached(now)

    def reached(self, now: float) -> Moved:
        """How much that is by now."""
        share, rows, seconds = sum(self._shares.values()) / self.ranges, sum(self._rows.values()), now - self.began
        rate = (rows - self.rows_before) / seconds if seconds > 0 else 0.0
        left = seconds * (1 - share) / share if share > 0 else float("inf")
        return Moved(100 * share, rows, rate, left)


def plan_text(plan: Plan, first: Sequence[Sequence[object]]) -> str:
    """What would be done, with the statement that PostgreSQL would get for the first batch and the first rows."""
    after, until = (plan.ranges[0].after, plan.ranges[0].until) if plan.ranges else (None, None)
    lines = [
        f"FROM     {plan.pipeline}: {plan.table_name}, {plan.kind}",
        (
            f"ROWS     about {plan.rows:,} ({plan.estimated_from}) in {counted(len(plan.ranges), 'range')} of "
            f"{plan.key}, batches of {plan.batch_size:,}, {plan.parallelism} at once"
        ),
        f"FILTERS  {plan.filter_sql or 'none: every row'}",
    ]
    if plan.window is not None:
        kind = Kind.WHOLE if plan.types[plan.window.column] in INTEGERS else Kind.TIME
        after_mark = _shown(plan.window.after, kind)
        since = "the first time, so from the beginning" if plan.window.after is None else f"after {after_mark}"
        lines.append(f"CHANGED  {plan.window.column}, {since}, up to {_shown(plan.window.until, kind)}")
    lines += ["", f"INTO     {plan.target}"]
    mapped = [
        (
            one.name,
            one.type,
            one.source if one.source is not None else f"'{one.constant}'",
            plan.types.get(one.source or "", "constant"),
        )
        for one in plan.columns
    ]
    lines.append(table_text(mapped, ("column", "type", "from", "type there")))
    if plan.empty:
        lines.append(
            wrapped(f"EMPTY    {', '.join(plan.empty)}; also in an event that is there already with the same uuid")
        )
    if plan.by_default:
        values = ", ".join(f"{name} = {value}" for name, value in plan.by_default.items())
        lines.append(wrapped(f"DEFAULT  {values}; as {plan.target} has it"))
    lines += ["", "POSTGRESQL GETS, for the first range"]
    lines += [plan.source.batch(plan.values, after, until), ""]
    if first:
        columns = [(plan.key, Kind.TEXT), *((column.name, column.kind) for column in plan.shape.landed)]
        lines.append("FIRST ROWS")
        for row in first:
            pairs = zip(columns, row, strict=True)
            lines.append(", ".join(f"{name}={_shown(value, kind)}" for (name, kind), value in pairs))
    else:
        lines.append("FIRST ROWS  there is none")
    return "\n".join(lines)


def _shown(value: object, kind: Kind) -> str:
    """A value as it travels, for people: times as such, where they are any."""
    text = "NULL" if value is None else str(value)
    if kind in TIMES and isinstance(value, int):
        with suppress(OverflowError):
            text = (
                f"{'-' * (value < 0)}infinity"
                if abs(value) == INFINITY
                else f"{_EPOCH + timedelta(microseconds=value)} UTC"
            )
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _before_deletion(state: State) -> str:
    """What it was when it was deleted, if it was."""
    return state.end.status if state.status == Status.DELETED and state.end is not None else state.status


def report(plan: Plan, state: State) -> dict[str, Any]:
    """The final report, for programs."""
    loaded = Loaded.of(state)
    return {
        "postgres_backfill_id": state.work_id,
        "pipeline": plan.pipeline,
        "table_name": plan.table_name,
        "filter_sql": plan.filter_sql,
        "kind": str(plan.kind),
        "status": state.status,
        "queue_status": in_queue(_before_deletion(state)),
        **history.as_dict(state),
        "count_record": sum(landed_rows(state.entries).values()),
        "ranges": len(plan.ranges),
        "ranges_done": len(state.done),
        "rows_by_day": {str(day): rows for day, rows in sorted(loaded.rows_by_day.items())},
        "seconds": round(seconds_at_work(state), 1),
    }


def _standing(state: State) -> str:
    """What it is, in the words of the queue, and in its own where these say more."""
    queued = in_queue(state.status)
    own = "" if state.status in (queued.lower(), Status.RUNNING) else f" ({state.status})"
    return f"{queued + own:<8}"


def report_text(plan: Plan, state: State) -> str:
    """The final report, for people."""
    loaded, rows, seconds = Loaded.of(state), sum(landed_rows(state.entries).values()), seconds_at_work(state)
    seen = "nothing"
    if loaded.rows_by_day and state.status != Status.CANCELLED:
        seen = f"{sum(loaded.rows_by_day.values()):,} rows on {in_words(loaded.rows_by_day)}"
    lines = [
        f"{_standing(state)} {state.work_id}: {plan.subject}, {plan.filter_sql or 'every row'}",
        *history.outcome(state.status, state.end),
        wrapped(
            f"LANDED   {rows:,} rows of about {plan.rows:,}, {len(state.done)} of {counted(len(plan.ranges), 'range')}"
        ),
        wrapped(f"SEEN     {seen}"),
        wrapped(took_text(seconds) + (f"; {rows / seconds:,.0f} rows a second" if seconds > 0 else "")),
        *history.lines(state),
        *history.gates_text(state),
        *history.failures_text(state),
    ]
    return "\n".join(lines)
