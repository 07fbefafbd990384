"""Carries a frozen plan out, chunk by chunk, and can be stopped and started again at any moment.

What is left to do is read from the log, so a restart of anything loses nothing: a step that was done and not recorded
is done once more, which a kind of work has to bear. What a step is, its `Worker` knows.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.failures import retrying
from dags.clickhouse.sql import is_embedded
from dags.domain.errors import LeaseLostError, UserError
from dags.domain.text import of_error
from dags.work.audit.log import Entry, Event, State, Status, Work
from dags.work.audit.store import Log
from dags.work.control import refuse_resume
from dags.work.lease import WorkLease, leased
from dags.work.orders import Ended, Orders, ceiling_reached, source_rows_read
from dags.work.plan import Ceilings, Chunk, Monitoring
from dags.work.progress import ChunkState, Progress, chunk_states, progress, seconds_at_work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

    from dags.work.kinds import KindOfWork

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=Chunk)
C_contra = TypeVar("C_contra", bound=Chunk, contravariant=True)


@dataclass(frozen=True)
class Listeners:
    """Who hears of what happens: the run's log, what shows progress, the webhook."""

    tell: Callable[[str], None]
    chunk_done: Callable[[Progress, str, tuple[ChunkState, ...]], None]
    notify: Callable[[Mapping[str, object]], None]


@dataclass(frozen=True)
class AtWork:
    """What a run works with while it holds the lease; chunks that run at once have a client each."""

    client: Client
    log: Log
    lease: WorkLease
    tell: Callable[[str], None]
    orders: Orders

    def heard(self) -> Ended | None:
        """What people ask of this work right now. A step that takes long asks it at each place where it can stop."""
        return self.again(self.orders.heard)

    def read(self) -> State:
        """What the log comes to now.

        Raises:
            UserError: it does not know this work.
        """
        state = self.again(self.log.read)
        if state is None:
            raise UserError(f"{self.log.work.work_id} is not in the log; accept its plan first")
        return state

    def again(self, ask: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Ask ClickHouse, and again where it could not answer for a moment, such as while it restarts."""
        return retrying(self.tell)(ask, *args, **kwargs)


class Steps(Protocol[C_contra]):
    """The steps of a piece of work that may begin."""

    def do(self, at: AtWork, chunk: C_contra, step: str) -> Sequence[Entry]:
        """Do a step; its events, the last of which says that it is done or has failed. Done twice, it changes nothing.

        No event where it stopped half-way because of what it has heard: it is gone on with when the work is.

        A failure that the person has to see is such an event and no error, so that it keeps no other step from being
        done. Chunks may run at once.
        """

    def why_stop(self, at: AtWork) -> Ended | None:
        """What the work ends as because no other chunk may begin for now; None if one may."""

    def judge(self, at: AtWork) -> Ended:
        """What the work is once every chunk has been gone through."""


class Worker(Protocol[C_contra]):
    """What a kind of work brings to its runner."""

    def begin(self, at: AtWork) -> Steps[C_contra] | Ended:
        """Before the first chunk of a run: its steps, or what it ends as because it may not begin."""

    def report(self, state: State) -> dict[str, Any]:
        """The final report, for programs."""


@dataclass(frozen=True)
class Runner(Generic[C]):
    """One run of a piece of work: from what is left of its plan to the end, or until it is stopped.

    ``asked_by``: who asked for this run, and why, where it is not the one that the plan names.
    """

    client: Client
    open_client: Callable[[], AbstractContextManager[Client]]
    kind: KindOfWork
    work: Work
    chunks: Sequence[C]
    worker: Worker[C]
    run_id: str
    ordered_at: datetime
    listeners: Listeners
    parallelism: int = 1
    ceilings: Ceilings = field(default_factory=Ceilings)
    monitoring: Monitoring = field(default_factory=Monitoring)
    asked_by: tuple[str, str] = ("", "")

    def run(self) -> State:
        """Carry out what is left.

        Raises:
            LeaseError: another run acts on this work right now.
            LeaseLostError: another run took it over, for this one was silent for too long.
            UserError: the log does not know it, it is over, or what it needs is lost.
        """
        log = Log(self.client, self.work, self.run_id)
        # Before the lease: whoever sees this run at work and asks for a pause is heard, the first moment included.
        orders = Orders(log, self.ordered_at)
        with leased(self.client, self.kind, self.work, self.run_id, self.listeners.tell) as lease:
            at = AtWork(self.client, log, lease, self.listeners.tell, orders)
            refuse_resume(self.kind, at.read())
            lease.confirm()
            if asked := at.heard():
                return self._ended(at, asked)
            requested_by, reason = self.asked_by
            log.append(Entry(Event.STARTED, Status.RUNNING, requested_by=requested_by, reason=reason))
            try:
                end = _Going(self, at, time.monotonic()).to_the_end()
                at.again(lease.confirm)
            except LeaseLostError:
                raise  # what it is now, the other run says
            except BaseException as error:
                # Whatever ends it, a kill by the UI too: what is left can be resumed, and the log says so if it can.
                with suppress(ClickHouseError, LeaseLostError):
                    lease.confirm()
                    log.append(Entry(Event.ENDED, Status.INTERRUPTED, payload=of_error(error)))
                raise
            # Beyond that attempt: an end that is in the log, or may be, stands whatever fails after it.
            return self._ended(at, end)

    def _ended(self, at: AtWork, end: Ended) -> State:
        """Record the end, and what was asked in the moment in which it was recorded."""
        self._record(at, end)
        # Who asks and saw no end of it was promised what he asked for; his request is in the log by now.
        while (asked := at.heard()) and asked.status != end.status:
            if asked.status is Status.CANCELLED and self.kind.give_up is not None:
                # Its end settled that request, and who takes over when this dies half-way has to hear of it.
                begun, again = Entry(Event.STARTED, Status.RUNNING), Entry(Event.CONTROL, name=str(asked.status))
                at.again(at.log.append, begun, replace(again, requested_by="its run", reason=asked.words))
            end = asked.in_place_of(end)
            self._record(at, end)
        state = at.read()
        self.listeners.notify({**self.worker.report(state), "percent": None, "chunk": None})
        return state

    def _record(self, at: AtWork, end: Ended) -> None:
        """Record an end; that it is cancelled, when nothing is there any more that must not be."""
        if end.status is Status.CANCELLED and self.kind.give_up is not None:
            at.tell(at.again(self.kind.give_up, at.client, self.work, self.run_id))
        at.again(at.log.append, Entry(Event.ENDED, end.status, name=end.name, payload=end.words))
        if end.words:
            at.tell(f"{end.status}: {end.words}")


@dataclass(frozen=True)
class _Going(Generic[C]):
    """A run that is at work since ``began``, of this process's clock."""

    runner: Runner[C]
    at: AtWork
    began: float
    halted: threading.Event = field(default_factory=threading.Event)

    def to_the_end(self) -> Ended:
        end = self._gone_through()
        # What is asked meanwhile, while gates are asked or steps are taken back as well, was answered so too.
        asked = self.at.heard()
        return asked.in_place_of(end) if asked and asked.status != end.status else end

    def _gone_through(self) -> Ended:
        steps = self.runner.worker.begin(self.at)
        if isinstance(steps, Ended):
            return steps
        # What is asked during the last chunk was answered with "then it is": so it is, and nothing is judged.
        return self._chunks_gone_through(steps) or self.at.heard() or steps.judge(self.at)

    def _chunks_gone_through(self, steps: Steps[C]) -> Ended | None:
        """All chunks that are left; or why it was stopped between two of them."""
        done = frozenset(self.at.read().done)
        waiting = [chunk for chunk in self.runner.chunks if not set(chunk.steps) <= done]
        at_once = 1 if is_embedded(self.at.client) else self.runner.parallelism
        if at_once == 1:
            for chunk in waiting:
                if stopped := self._why_stop(steps):
                    return stopped
                self._chunk_is_over(chunk, self._done(self.at, steps, chunk, done))
            return None
        with ThreadPoolExecutor(at_once, "chunk") as pool:
            try:
                return self._in_parallel(pool, steps, waiting, done, at_once)
            except BaseException:
                # The pool waits for what has begun; of each chunk that is the step in work and no more.
                self.halted.set()
                raise

    def _in_parallel(
        self, pool: ThreadPoolExecutor, steps: Steps[C], waiting: list[C], done: frozenset[str], at_once: int
    ) -> Ended | None:
        running: dict[Future[list[Entry]], C] = {}
        stopped = None
        while running or (waiting and not stopped):
            while waiting and len(running) < at_once and not (stopped := self._why_stop(steps)):
                chunk = waiting.pop(0)
                running[pool.submit(self._done_by_its_own_client, steps, chunk, done)] = chunk
            over = wait(running, return_when=FIRST_COMPLETED).done if running else set()
            for future in over:
                self._chunk_is_over(running.pop(future), future.result())
        return stopped

    def _why_stop(self, steps: Steps[C]) -> Ended | None:
        """What was asked of it between two chunks: by a person, by the kind of work, or by the plan's ceilings."""
        if asked := self.at.heard():
            return asked
        if stopped := self.at.again(steps.why_stop, self.at):
            return stopped
        ceilings, read = self.runner.ceilings, 0
        if ceilings.source_rows is not None:
            read = source_rows_read(self.at.read(), self.runner.run_id)
        reached = ceiling_reached(ceilings, read, time.monotonic() - self.began)
        return Ended(Status.PAUSED, reached) if reached else None

    def _done_by_its_own_client(self, steps: Steps[C], chunk: C, before: frozenset[str]) -> list[Entry]:
        with self.runner.open_client() as client:
            log = Log(client, self.runner.work, self.runner.run_id)
            return self._done(
                replace(self.at, client=client, log=log, orders=self.at.orders.of(log)), steps, chunk, before
            )

    def _done(self, at: AtWork, steps: Steps[C], chunk: C, before: frozenset[str]) -> list[Entry]:
        """Do the steps of a chunk that were not done before, each recorded; one that fails keeps no other from it."""
        left, ended = [step for step in chunk.steps if step not in before], list[Entry]()
        for step in left:
            if self.halted.is_set():
                break
            at.again(at.lease.confirm)
            began = time.monotonic()
            done = steps.do(at, chunk, step)
            if not done and at.heard():
                break
            *found, entry = _of_step(chunk, step, done)
            entry = replace(entry, seconds=time.monotonic() - began)
            at.again(at.lease.confirm)
            ended.append(entry)
            over = [_over(chunk, ended)] if step == left[-1] else []
            at.again(at.log.append, *found, entry, *over)
        return ended

    def _chunk_is_over(self, chunk: C, entries: list[Entry]) -> None:
        """Let who listens hear of it; of one that stopped half-way there is nothing to say yet."""
        if not entries:
            return
        runner, failed = self.runner, any(entry.event == Event.STEP_FAILED for entry in entries)
        state = self.at.read()
        reached, states = (
            progress(runner.chunks, state.done, seconds_at_work(state)),
            chunk_states(runner.chunks, state),
        )
        words = f"chunk {chunk.id} of {len(runner.chunks)}, {chunk}: {'failed' if failed else 'done'}"
        runner.listeners.chunk_done(reached, words, states)
        over = sum(one.status in ("done", "failed") for one in states)
        if over % runner.monitoring.every_chunks and over < len(states):
            return
        runner.listeners.notify(
            {
                **runner.kind.named(runner.work),
                "status": state.status,
                "percent": round(reached.percent, 1),
                "seconds_left": round(reached.left, 1),
                "chunk": next(one.as_dict() for one in states if one.chunk.id == chunk.id),
            }
        )


def _of_step(chunk: Chunk, step: str, entries: Sequence[Entry]) -> Sequence[Entry]:
    """The events of a step, the last of which says what became of this very one.

    Raises:
        ValueError: it does not: the kind of work is at fault, and the step would count as gone through.
    """
    last = entries[-1] if entries else None
    if last is None or last.event not in (Event.STEP_DONE, Event.STEP_FAILED) or last.step != step:
        found = f"{last.event} of {last.step or 'no step'}" if last is not None else "nothing"
        raise ValueError(
            f"step {step} of chunk {chunk.id} ended with {found}: give {Event.STEP_DONE} or "
            f"{Event.STEP_FAILED} of it as the last event"
        )
    return entries


def _over(chunk: Chunk, entries: Sequence[Entry]) -> Entry:
    """That every step of a chunk was gone through, and what they come to."""
    failed = [entry for entry in entries if entry.event == Event.STEP_FAILED]
    return Entry(
        Event.CHUNK_FAILED if failed else Event.CHUNK_DONE,
        chunk=chunk.id,
        rows=sum(entry.rows for entry in entries),
        source_rows=sum(entry.source_rows for entry in entries),
        own_source_rows=sum(entry.own_source_rows for entry in entries),
        rows_read=sum(entry.rows_read for entry in entries),
        bytes_read=sum(entry.bytes_read for entry in entries),
        seconds=sum(entry.seconds for entry in entries),
        payload="; ".join(f"{entry.step}: {entry.payload}" for entry in failed)[:1000],
    )
