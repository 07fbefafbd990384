"""Carries a frozen plan out, chunk by chunk, and can be stopped and started again at any moment.

What is left to do is read from the log, so a restart of anything loses nothing: a day that was published and not
recorded is built once more, which changes nothing. Every day goes through the build that all others use.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.failures import retrying
from dags.clickhouse.sql import is_embedded
from dags.clickhouse.targets.store import read_usability
from dags.domain.days import ONE_DAY, DayRange, in_words
from dags.domain.errors import HoldLostError, UserError
from dags.managed_backfill import gates
from dags.managed_backfill.backup import has_backup, kept_until, make_backup
from dags.managed_backfill.checkpoint import DayCheckpoint, read_spread
from dags.managed_backfill.control import refuse_resume
from dags.managed_backfill.holding import hold
from dags.managed_backfill.log import UNTOUCHED, DayEvent, Days, work_of
from dags.managed_backfill.orders import Orders, ceiling_reached
from dags.managed_backfill.plan import OnGateFailure
from dags.managed_backfill.progress import ChunkState, Progress, chunk_states, progress, report, seconds_at_work
from dags.managed_backfill.restoring import Restoring
from dags.managed_backfill.shrunk import held_in_words, read_held_by_builds
from dags.managed_backfill.store import later_builds, open_days, read_baseline, read_coverage
from dags.publish.build import DayBuild
from dags.repair.stops.store import why_stopped
from dags.work.audit.log import Entry, Event, State, Status
from dags.work.audit.store import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

    from dags.domain.watched import WatchedTable
    from dags.managed_backfill.gates import Gate, Spread
    from dags.managed_backfill.plan import Chunk, Plan
    from dags.publish.batches import Limits
    from dags.publish.built import BuiltDay
    from dags.work.audit.log import Work

_PACKAGE = "dags.managed_backfill"


@dataclass(frozen=True)
class Listeners:
    """Who hears of what happens: the run's log, Dagster's assets, the webhook."""

    tell: Callable[[str], None]
    day_done: Callable[[BuiltDay], None]
    chunk_done: Callable[[Progress, str, tuple[ChunkState, ...]], None]
    notify: Callable[[Mapping[str, object]], None]


@dataclass
class Execution:
    """One run of a backfill: from what is left of its plan to the end, or until it is stopped. `run` is called once."""

    client: Client
    open_client: Callable[[], AbstractContextManager[Client]]
    table: WatchedTable
    backfill_id: str
    plan: Plan
    run_id: str
    ordered_at: datetime
    limits: Limits
    wait_seconds: float
    listeners: Listeners
    _baseline: Mapping[date, Spread] = field(default_factory=dict)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)
    _halted: threading.Event = field(default_factory=threading.Event)

    def run(self) -> State:
        """Carry out what is left.

        Raises:
            LeaseError: another run acts on this backfill right now.
            HoldLostError: another run took it over, for this one was silent for too long.
            UserError: the log does not know it, it is over, or its backup is lost.
        """
        self._log = Log(self.client, self._work, self.run_id)
        # Before the lease: whoever sees this run at work and asks for a pause is heard, the first moment included.
        self._orders = Orders(self._log, self.ordered_at)
        with hold(self.client, self._work, self.run_id, self.listeners.tell) as self._held:
            refuse_resume(self._state())
            self._held.confirm()
            if asked := self._orders.heard():
                return self._ended(*asked)
            self._log.append(Entry(Event.STARTED, Status.RUNNING))
            self._began = time.monotonic()
            try:
                return self._carried_out()
            except HoldLostError:
                raise  # what it is now, the other run says
            except BaseException as error:
                # Whatever ends it, a kill by the UI too: what is left can be resumed, and the log says so if it can.
                with suppress(ClickHouseError, HoldLostError):
                    self._held.confirm()
                    words = f"{type(error).__name__}: {error}"[:1000]
                    self._log.append(Entry(Event.ENDED, Status.INTERRUPTED, payload=words))
                raise

    def _carried_out(self) -> State:
        if not self._passes_before():
            return self._ended(Status.FAILED, "a gate before the first chunk failed, nothing was touched")
        state, table = self._state(), self.plan.scope.table
        if Days.of(state).backed_up and not has_backup(self.client, self.backfill_id, table):
            raise UserError(
                f"the backup of {self.backfill_id} is not there any more, and of days that it replaced no other can be "
                "taken: ask for a new backfill for what is left, kind gap_filling finds it"
            )
        until = kept_until(state.read_at, self.plan.rollback.kept_days)
        self._backup = make_backup(self.client, self.backfill_id, table, until)
        # What is asked during the last chunk was answered with "then it is": so it is, and no gate judges it.
        if stopped := self._chunks_carried_out() or self._orders.heard():
            return self._ended(*stopped)
        return self._judged()

    # --- Gates of the plan ---------------------------------------------------------------------------------------

    def _passes_before(self) -> bool:
        scope = self.plan.scope
        unusable = read_usability(self.client, [self.table]).unusable
        target = gates.target_columns_exist(scope.table, unusable.get(scope.table, ""))
        if not target.is_passed:
            return self._recorded(target)
        taken: dict[str, list[date]] = {}
        others = open_days(self.client, except_backfill=self.backfill_id)
        for day in self.plan.days:
            if who := others.get((scope.table, day)):
                taken.setdefault(who, []).append(day)
        teams = frozenset(scope.team_ids)
        self._baseline = read_baseline(self.client, self.table, scope.start_date, teams)
        return self._recorded(
            gates.source_has_data(self.plan.days, self.plan.estimate.rows),
            target,
            gates.no_other_backfill(taken),
            gates.baseline_captured(self._baseline),
        )

    def _judged(self) -> State:
        """The gates after the last chunk; if one fails, every chunk is put back unless the plan says otherwise."""
        state, scope = self._state(), self.plan.scope
        done = Days.of(state).done
        failed = {one.chunk.id: one.error for one in chunk_states(self.plan, state) if one.status != "done"}
        days = DayRange(min(self.plan.days), max(self.plan.days) + ONE_DAY)
        coverage = read_coverage(self.client, self.table, days)
        later = later_builds(self.client, scope.table, days, state.run_ids)
        others = {day for (day, _), one in later.items() if day in done and one.is_after(done[day])}
        teams_by_day = self.plan.teams_by_day
        spreads = {day: coverage.spread(day, teams_by_day[day]) for day in done}
        # What was held is unlike its source, and is no sign of a build that counts otherwise.
        kept = read_held_by_builds(self.client, scope.table, days, state.run_ids)
        rebuilt = (coverage.spread(day, teams_by_day[day] - kept.get(day, set())) for day in done)
        whole = sum(rebuilt, gates.Spread())
        passed = self._recorded(
            gates.every_chunk_succeeded(failed, len(self.plan.chunks)),
            gates.row_counts(
                {day: spread.total for day, spread in spreads.items()},
                {day: entry.total for day, entry in done.items()},
                others,
            ),
            gates.distribution(whole, self._baseline.values()),
        )
        if passed:
            held = sorted({*kept, *scope.held})
            words = f"{in_words(held)}: held teams keep their rows, a backfill with allow_shrink: true rebuilds them"
            return self._ended(Status.COMPLETED, words if held else "")
        if self.plan.strategy.on_gate_failure is OnGateFailure.KEEP:
            return self._ended(Status.FAILED, "a gate failed in the end; the plan says to keep what was published")
        self.listeners.tell("a gate failed in the end: every chunk is put back as it was")
        tell = self.listeners.tell
        restoring = Restoring(self.client, self.table, self.plan, state, self._log, self._held, self.wait_seconds, tell)
        restored = restoring.run(restoring.comparable())
        status = Status.FAILED if restored.failed or restored.left else Status.RESTORED
        return self._ended(status, f"a gate failed in the end: {restored.after_gate()}")

    def _recorded(self, *found: Gate) -> bool:
        self._log.append(*(self._gate_entry(gate) for gate in found))
        for gate in found:
            if not gate.is_passed:
                self.listeners.tell(f"gate {gate}")
        return all(gate.is_passed for gate in found)

    def _gate_entry(self, gate: Gate, chunk: int = 0, day: date | None = None) -> Entry:
        return Entry(
            Event.GATE,
            step=str(day or ""),
            chunk=chunk,
            name=gate.name,
            is_passed=gate.is_passed,
            payload=gate.measured,
        )

    # --- Chunks --------------------------------------------------------------------------------------------------

    def _chunks_carried_out(self) -> tuple[Status, str] | None:
        """All chunks that are left; or why it was stopped between two of them."""
        done = Days.of(self._state()).done
        waiting = [chunk for chunk in self.plan.chunks if not set(chunk.days) <= done.keys()]
        at_once = 1 if is_embedded(self.client) else self.plan.strategy.parallelism
        if at_once == 1:
            for chunk in waiting:
                if stopped := self._why_stop():
                    return stopped
                self._chunk_is_over(chunk, self._built_chunk(self.client, chunk))
            return None
        with ThreadPoolExecutor(at_once, "chunk") as pool:
            try:
                return self._in_parallel(pool, waiting, at_once)
            except BaseException:
                # The pool waits for what has begun; of each chunk that is the day in work and no more.
                self._halted.set()
                raise

    def _in_parallel(self, pool: ThreadPoolExecutor, waiting: list[Chunk], at_once: int) -> tuple[Status, str] | None:
        running: dict[Future[list[Entry]], Chunk] = {}
        stopped = None
        while running or (waiting and not stopped):
            while waiting and len(running) < at_once and not (stopped := self._why_stop()):
                chunk = waiting.pop(0)
                running[pool.submit(self._chunk_of_its_own, chunk)] = chunk
            over = wait(running, return_when=FIRST_COMPLETED).done if running else set()
            for future in over:
                self._chunk_is_over(running.pop(future), future.result())
        return stopped

    def _why_stop(self) -> tuple[Status, str] | None:
        """What was asked of it between two chunks, by a person, by the switch, or by the plan's ceilings."""
        if asked := self._orders.heard():
            return asked
        if stopped := why_stopped(self.client):
            return Status.PAUSED, f"backfills are {stopped}"
        read = sum(e.source_rows for e in self._state().done.values() if e.run_id == self.run_id)
        reached = ceiling_reached(self.plan.strategy.ceilings, read, time.monotonic() - self._began)
        return (Status.PAUSED, reached) if reached else None

    def _chunk_of_its_own(self, chunk: Chunk) -> list[Entry]:
        with self.open_client() as client:
            return self._built_chunk(client, chunk)

    def _built_chunk(self, client: Client, chunk: Chunk) -> list[Entry]:
        """Build the days of a chunk that are left; a day that fails keeps no other from being built."""
        log = Log(client, self._work, self.run_id)
        state = log.read()
        done = Days.of(state).done if state is not None else {}
        entries = []
        for day in chunk.days:
            if day not in done and not self._halted.is_set():
                self._held.confirm()
                entries.append(self._built_day(client, log, chunk, day))
        return entries

    def _built_day(self, client: Client, log: Log, chunk: Chunk, day: date) -> Entry:
        began, again = time.monotonic(), retrying(self.listeners.tell)
        rebuilt = frozenset(self.plan.teams(chunk, day))
        table = self.plan.scope.table
        checkpoint = DayCheckpoint(
            client,
            log,
            self._held,
            again,
            table=self.table,
            entry=Entry(DayEvent.BACKED_UP, step=str(day), chunk=chunk.id, name=table),
            rebuilt=rebuilt,
            teams=self.plan.teams_by_day[day],
            baseline=self._baseline.values(),
            backup=self._backup,
        )
        entry = Entry(Event.STEP_FAILED, step=str(day), chunk=chunk.id)
        try:
            built = DayBuild(
                client=client,
                day=day,
                teams_by_table={table: rebuilt},
                run_id=self.run_id,
                limits=self.limits,
                tables=(self.table,),
                allow_shrink=self.plan.strategy.allow_shrink,
                wait_seconds=self.wait_seconds,
                progress=self.listeners.tell,
                checkpoint=checkpoint,
            ).run()
        except HoldLostError:
            raise
        except (UserError, ClickHouseError) as error:
            entry = replace(entry, payload=str(error)[:1000])
        else:
            entry = self._entry_of(built, entry, checkpoint, client, rebuilt)
        entry = replace(entry, seconds=time.monotonic() - began)
        self._held.confirm()
        again(log.append, *(self._gate_entry(gate, chunk.id, day) for gate in checkpoint.gates), entry)
        return entry

    def _entry_of(
        self, built: BuiltDay, entry: Entry, checkpoint: DayCheckpoint, client: Client, rebuilt: frozenset[int]
    ) -> Entry:
        """What the log keeps of a day that was built, or of which a part was."""
        [table] = built.tables
        spread, kept = checkpoint.spread, checkpoint.kept_by_team
        if kept:
            self.listeners.tell(f"{entry.step}: held, {held_in_words(kept)}")
        if not built.problems:
            with self._one_at_a_time:
                self.listeners.day_done(built)
        return replace(
            entry,
            event=Event.STEP_FAILED if built.problems else Event.STEP_DONE,
            name=UNTOUCHED if table.is_untouched else "",
            rows=table.rows,
            total=spread.total + checkpoint.kept_total
            if spread is not None
            else read_spread(client, self.table, table.table, built.day, rebuilt).total,
            source_rows=built.source_events,
            payload="; ".join([*built.problems, *([held_in_words(kept)] if kept else [])])[:1000],
        )

    def _chunk_is_over(self, chunk: Chunk, entries: list[Entry]) -> None:
        failed = [entry for entry in entries if entry.event == Event.STEP_FAILED]
        self._log.append(
            Entry(
                Event.CHUNK_FAILED if failed else Event.CHUNK_DONE,
                chunk=chunk.id,
                rows=sum(entry.rows for entry in entries),
                source_rows=sum(entry.source_rows for entry in entries),
                seconds=sum(entry.seconds for entry in entries),
                payload="; ".join(f"{entry.step}: {entry.payload}" for entry in failed)[:1000],
            )
        )
        state = self._state()
        reached = progress(self.plan, Days.of(state).done, seconds_at_work(state))
        status = "failed" if failed else "done"
        states = chunk_states(self.plan, state)
        self.listeners.chunk_done(reached, f"chunk {chunk.id} of {len(self.plan.chunks)}, {chunk}: {status}", states)
        over = sum(one.status in ("done", "failed") for one in states)
        if over % self.plan.monitoring.every_chunks and over < len(states):
            return
        self.listeners.notify(
            {
                "backfill_id": self.backfill_id,
                "table": self.plan.scope.table,
                "status": state.status,
                "percent": round(reached.percent, 1),
                "seconds_left": round(reached.left, 1),
                "chunk": next(one.as_dict() for one in states if one.chunk.id == chunk.id),
            }
        )

    # --- The log -------------------------------------------------------------------------------------------------

    def _state(self) -> State:
        state = self._log.read()
        if state is None:
            raise UserError(f"{self.backfill_id} is not in the log; accept its plan first")
        return state

    @property
    def _work(self) -> Work:
        return work_of(self.backfill_id, self.plan)

    def _ended(self, status: Status, detail: str) -> State:
        self._held.confirm()
        self._log.append(Entry(Event.ENDED, status, payload=detail))
        if detail:
            self.listeners.tell(f"{status}: {detail}")
        state = self._state()
        told = report(self.plan, state)
        self.listeners.notify({**told, "percent": None, "chunk": None})
        return state
