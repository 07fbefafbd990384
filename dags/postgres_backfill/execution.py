"""Carries a plan out: its ranges land batch by batch, and then the days that they bring are attached.

A batch that landed and was not recorded is found in the landing table by the next run, and one that was sent twice
lands once. A day that was attached and not recorded is found in the target by the load's number.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.leases.rules import new_token
from dags.clickhouse.sql import Sql, is_embedded
from dags.domain.days import in_words
from dags.domain.errors import LeaseLostError, UserError
from dags.domain.expression import Expression
from dags.domain.text import counted
from dags.postgres_backfill import compiling
from dags.postgres_backfill.log import Loaded
from dags.postgres_backfill.plan import batches
from dags.postgres_backfill.planning import changed_types, other_source
from dags.postgres_backfill.progress import Tally, report
from dags.postgres_backfill.reading import MARGIN_SECONDS, PACKAGE, Postgres
from dags.postgres_backfill.store import take_back
from dags.sources.loads.attaching import ATTACHED_AT_ONCE, Attaching, require_attachable
from dags.sources.loads.landing import drop_tables, open_landing
from dags.sources.loads.log import LoadEvent
from dags.sources.loads.names import load_id
from dags.sources.loads.shape import TEAM, TIME, Kind, day_of, within
from dags.sources.loads.staging import Staging
from dags.sources.loads.verdicts import Checkpoint, groups, landed_wrong
from dags.work.audit.log import Entry, Event, Status
from dags.work.orders import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date

    from dags.postgres_backfill.connection import Connection
    from dags.postgres_backfill.plan import KeyRange, Plan
    from dags.postgres_backfill.progress import Moved
    from dags.sources.loads.landing import Landing
    from dags.sources.loads.shape import Column
    from dags.work.audit.log import State
    from dags.work.runner import AtWork

# So many teams are named; more are not.
_SHOWN = 10

# How often a range says how far it is.
TELL_SECONDS = 5.0


@dataclass(frozen=True)
class PostgresBackfill:
    """What a backfill from PostgreSQL brings to the runner of its plan.

    A statement may take so many ``seconds``. ``moved`` hears every few seconds how much has landed; ``attached`` of the
    days that readers see from then on.
    """

    plan: Plan
    connection: Connection
    seconds: int
    moved: Callable[[Moved], None]
    attached: Callable[[Mapping[date, int]], None]

    def begin(self, at: AtWork) -> LandingRanges | Ended:
        """Make sure that source and target are what was planned, that nothing is open, and of the landing table."""
        plan, state = self.plan, at.read()
        if Loaded.of(state).is_whole:
            return self._loaded(at)
        require_attachable(at.client, plan.target, [one.name for one in plan.columns])
        # What has landed whole is brought to its end, whatever has become of its source.
        if any(not set(one.steps) <= set(state.done) for one in plan.ranges) and (stopped := self._held_up(at)):
            return stopped
        landing, token = self._landing(at, state)
        checkpoints = landing.checkpoints(at.client)
        if wrong := landed_wrong(_whole(state), checkpoints):
            return _lost(at, plan, wrong)
        tally = Tally.of(plan, checkpoints, frozenset(state.done), time.monotonic())
        return LandingRanges(self, landing, token, checkpoints, tally)

    def _held_up(self, at: AtWork) -> Ended | None:
        """Why nothing can be read now of which it is certain what it is."""
        plan, postgres = self.plan, Postgres(at.client, self.connection, self.seconds, at.tell)
        if changes := changed_types(postgres, plan):
            return Ended(Status.FAILED, f"{'; '.join(changes)}: nothing more was loaded. Ask for a new backfill")
        window = plan.window
        until = window.until if window is not None and window.column in plan.times else None
        margin = MARGIN_SECONDS if window is not None else 0.0
        left = postgres.wait_for_open_transactions(until=until, margin=margin)
        # What was open may have written such rows since it was planned. A table's key is NOT NULL.
        if compiling.is_query(plan.relation) and any(count for (count,) in postgres.ask(plan.source.without(plan.key))):
            return Ended(
                Status.FAILED,
                f"rows of {plan.table_name} have no {plan.key}, the key: they would be in no batch. Nothing of it is "
                "seen yet; put them right, then go on with it",
            )
        if left and window is not None:
            return Ended(
                Status.FAILED,
                f"{counted(left, 'transaction')} of PostgreSQL had not ended, and may write rows that this load would "
                "pass by for ever: end them (pg_stat_activity), then go on with it",
            )
        if left:
            at.tell(f"{counted(left, 'transaction')} of PostgreSQL had not ended: what they write is not in this load")
        return None

    def _landing(self, at: AtWork, state: State) -> tuple[Landing, str]:
        """The landing table of this run and the token in its name.

        Raises:
            LeaseLostError: another run has taken over meanwhile.
        """
        # Who held the lease at any time recorded its start before that was confirmed: a later holder counts one more.
        sequence, token = sum(entry.event == Event.STARTED for entry in state.entries), new_token(at.log.run_id)
        at.again(at.lease.confirm)
        landing = open_landing(
            at.client, at.log.work.work_id, sequence, token, self.plan.shape,
            confirm=lambda: at.again(at.lease.confirm), batch_size=self.plan.batch_size,
            rows=None if self.plan.may_be_more else self.plan.rows,
        )  # fmt: skip
        return landing, token

    def _loaded(self, at: AtWork) -> Ended:
        drop_tables(at.client, at.log.work.work_id)
        return Ended(Status.COMPLETED)

    def report(self, state: State) -> dict[str, Any]:
        """The final report, for programs."""
        return report(self.plan, state)


@dataclass(frozen=True)
class LandingRanges:
    """The ranges of a backfill that may land."""

    backfill: PostgresBackfill
    landing: Landing
    token: str
    checkpoints: Mapping[int, Checkpoint]
    tally: Tally
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)
    _failed: threading.Event = field(default_factory=threading.Event)

    def why_stop(self, at: AtWork) -> Ended | None:
        """Nothing but people stop it."""

    def do(self, at: AtWork, chunk: KeyRange, step: str) -> Sequence[Entry]:
        """Have a range land, from where it is; no event where it was asked to stop between two batches."""
        entry = Entry(Event.STEP_FAILED, step=step, chunk=chunk.id)
        if self._failed.is_set():
            return [replace(entry, payload="not begun, for another range has failed")]
        try:
            rows = self._landed(at, chunk, step)
        except LeaseLostError:
            raise
        except (UserError, ClickHouseError) as error:
            self._failed.set()
            return [replace(entry, payload=str(error)[:1000])]
        return (
            []
            if rows is None
            else [replace(entry, event=Event.STEP_DONE, rows=rows, source_rows=rows, own_source_rows=rows)]
        )

    def _landed(self, at: AtWork, chunk: KeyRange, step: str) -> int | None:
        """The rows of a range that have landed when all have; None where it was asked to stop before."""
        plan, postgres = (
            self.backfill.plan,
            Postgres(at.client, self.backfill.connection, self.backfill.seconds, at.tell),
        )
        reached = self.checkpoints.get(chunk.id, Checkpoint())
        after = reached.until if reached.batch else chunk.after
        asked = plan.source.bounds(plan.batch_size, after, chunk.until)
        bounds = [key for (key,) in at.again(postgres.ask, asked)]
        rows, told_at = reached.rows, time.monotonic()
        for number, (begin, until) in enumerate(batches(bounds, after), start=1):
            if at.heard():
                at.again(at.log.append, Entry(LoadEvent.LANDED, step=step, chunk=chunk.id, rows=rows))
                return None
            at.again(at.lease.confirm)
            attempts, keys = count(1), (begin, until)
            rows += at.again(postgres.patiently, self._land, at, chunk, reached.batch + number, keys, attempts)
            self._tell(chunk, rows, number / len(bounds))
            if time.monotonic() - told_at >= TELL_SECONDS:
                told_at = time.monotonic()
                at.again(at.log.append, Entry(LoadEvent.LANDED, step=step, chunk=chunk.id, rows=rows))
        if other := at.again(other_source, postgres, plan):
            raise UserError("; ".join(other))
        self._tell(chunk, rows, 1.0, is_over=True)
        return rows

    def _land(
        self, at: AtWork, chunk: KeyRange, batch: int, keys: tuple[str | None, str], attempts: Iterator[int]
    ) -> int:
        """Have a batch land, the rows after one key up to another; how many it has brought, by whichever attempt."""
        plan, sql, (after, until), attempt = self.backfill.plan, Sql(PACKAGE, at.client), keys, next(attempts)
        before = self._rows(sql) if is_embedded(at.client) else 0
        columns = plan.shape.landed
        bound = {
            **self.backfill.connection.parameters(plan.source.batch(plan.values, after, until)),
            "range": chunk.id,
            "seconds": self.backfill.seconds,
            "batch": batch,
            "until": until,
            "attempt": attempt,
            "token": token_of(at.log.work.work_id, chunk.id, after, until),
        }
        written = sql.command(
            "land",
            bound,
            landing=self.landing.name,
            names=tuple(column.name for column in columns),
            # By their places, under names that PostgreSQL was asked for: a target's name may be any of these.
            values=Expression(", ".join(_received(f"c{place}", column) for place, column in enumerate(columns, 1))),
            day=day_of(f"c{1 + [column.name for column in columns].index(TIME)}"),
            source=self.backfill.connection.function,
        )
        if attempt > 1:
            return self.landing.batch_rows(at.client, chunk.id, batch)
        return self._rows(sql) - before if is_embedded(at.client) else written

    def _rows(self, sql: Sql) -> int:
        [rows] = sql.row("rows_landed", landing=self.landing.name)
        return int(rows)

    def _tell(self, chunk: KeyRange, rows: int, share: float, *, is_over: bool = False) -> None:
        now = time.monotonic()
        with self._one_at_a_time:
            moved = self.tally.moved(chunk.id, rows, share, now)
            if moved or is_over:
                self.backfill.moved(moved or self.tally.reached(now))

    def judge(self, at: AtWork) -> Ended:
        """Refuse what no reader may see, or else have every day there."""
        state, plan, work = at.read(), self.backfill.plan, at.log.work
        failed = [f"{step}: {entry.payload}" for step, entry in state.failed.items() if step not in state.done]
        if failed:
            first = next((one for one in failed if "not begun" not in one), failed[0])
            return Ended(Status.FAILED, f"{first}. Nothing of it is seen yet; put it right, then go on with it")
        if found := self.landing.findings(at.client):
            return Ended(
                Status.FAILED,
                "rows of it may not be seen, so none is: "
                + "; ".join(map(str, found))
                + ". Put them right in PostgreSQL or leave them out by a filter, then ask for a new backfill",
            )
        rows_by_day = self.landing.rows_by_day(at.client)
        # Last: what changes from here on, is no longer what these days were counted to have.
        if wrong := landed_wrong(_whole(state), self.landing.checkpoints(at.client)):
            return _lost(at, plan, wrong)
        note = self._note(at, rows_by_day)
        known = Loaded.of(state).rows_by_day
        load, confirm = load_id(work.work_id), lambda: at.again(at.lease.confirm)
        attaching = Attaching(at.client, plan.shape.target, (load,), self.landing.name, confirm)
        staging = Staging(attaching, self.landing, work.work_id, load, self.token)
        for group in groups(rows_by_day, ATTACHED_AT_ONCE):
            if asked := at.heard():
                return asked
            # Also what the log has as attached: since then somebody may have deleted of it.
            at.again(staging.attach, group)
            if new := {day: rows for day, rows in group.rows_by_day.items() if day not in known}:
                entries = [Entry(LoadEvent.ATTACHED, step=day.isoformat(), rows=rows) for day, rows in new.items()]
                at.again(at.log.append, *entries)
                self.backfill.attached(new)
        at.again(attaching.require, rows_by_day)
        at.again(at.lease.confirm)
        ends = [Entry(LoadEvent.LOADED, rows=sum(rows_by_day.values()))]
        if plan.window is not None:
            mark = Entry(LoadEvent.MARKED, name=plan.window.name, payload=str(plan.window.until))
            ends.append(mark)
        at.again(at.log.append, *ends)
        drop_tables(at.client, work.work_id)
        return Ended(Status.COMPLETED, _in_words(rows_by_day) + note)

    def _note(self, at: AtWork, rows_by_day: Mapping[date, int]) -> str:
        """What is no reason to refuse a load, and what somebody should know all the same; empty if nothing is."""
        teams = self.landing.teams(at.client) if rows_by_day else ()
        words = f"{counted(len(teams), 'team')}, {counted(len(rows_by_day), 'day')}"
        at.again(at.log.append, Entry(Event.GATE, name="every row can be an event", payload=words))
        if not (unknown := [team for team, _, is_enabled in teams if not is_enabled]):
            return ""
        shown = ", ".join(map(str, unknown[:_SHOWN])) + ", …" * (len(unknown) > _SHOWN)
        return f"; nothing is built for {TEAM} {shown}: not enabled"


def token_of(work_id: str, part: int, after: str | None, until: str) -> str:
    """What ClickHouse knows a batch by, so that it lands once however often it is sent: no two batches have the same.

    A digest, for a key may hold whatever would stand between two of them, and be as long as a text.
    """
    return hashlib.sha256(json.dumps([work_id, part, after, until]).encode()).hexdigest()


def _whole(state: State) -> dict[int, int]:
    """The ranges that have landed whole, with their rows."""
    return {int(step.removeprefix("range ")): entry.rows for step, entry in state.done.items()}


def _lost(at: AtWork, plan: Plan, wrong: Sequence[str]) -> Ended:
    """What it ends as when what has landed is not what landed: nothing of it can be relied on, so nothing is seen."""
    take_back(at.client, at.log, plan)
    return Ended(
        Status.FAILED,
        f"what has landed of {at.log.work.work_id} is otherwise than it landed: {'; '.join(wrong[:5])}. Somebody wrote "
        "to its table, or changed or dropped it. No row of it is to be seen; delete it and ask for a new one",
    )


def _received(name: str, column: Column) -> str:
    """What lands of a value as it was received; a whole number that its column does not hold is an error."""
    if column.kind is Kind.FLOAT:
        return f"if(isNull({name}), NULL, reinterpretAsFloat64(reverse(unhex(ifNull({name}, '')))))"
    if column.kind is Kind.WHOLE and column.name != TEAM and within(column.type) != "Int64":
        return f"accurateCast({name}, 'Nullable({within(column.type)})')"
    return name


def _in_words(rows_by_day: Mapping[date, int]) -> str:
    if not rows_by_day:
        return "no row was asked for"
    return f"{sum(rows_by_day.values()):,} rows on {in_words(rows_by_day)}"
