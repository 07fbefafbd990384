"""What happened to a piece of work, as it is kept: events that are appended, and what they amount to.

Pure: no clock, no database, no Dagster. What a subject and its steps are, the kind of work knows: a managed backfill
works on a table, and a step of it is a day.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from dags.domain.units import EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

# The kinds of work, as the log has them.
MANAGED, AUTOMATIC, MANUAL = "managed", "automatic", "manual"


class Event(StrEnum):
    """The events that every kind of work has; a kind may have more, of which nothing here depends."""

    ACCEPTED = "accepted"
    STARTED = "started"
    GATE = "gate"
    STEP_DONE = "step_done"
    STEP_FAILED = "step_failed"
    STEP_UNDONE = "step_undone"
    CHUNK_DONE = "chunk_done"
    CHUNK_FAILED = "chunk_failed"
    CONTROL = "control"
    ENDED = "ended"


class Status(StrEnum):
    """What a piece of work is."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"
    RESTORED = "restored"
    ROLLING_BACK = "rolling back"
    ROLLED_BACK = "rolled back"
    DELETED = "deleted"


# There is something left to do, and it can be resumed.
RESUMABLE = {Status.ACCEPTED, Status.RUNNING, Status.PAUSED, Status.INTERRUPTED, Status.FAILED, Status.RESTORED}

# Not over, so that others leave its steps alone. What failed can be gone on with as well, and keeps nobody waiting.
UNFINISHED = {Status.ACCEPTED, Status.RUNNING, Status.PAUSED, Status.INTERRUPTED, Status.ROLLING_BACK}

# Nothing more happens by itself: these can be deleted.
FINISHED = {
    Status.CANCELLED, Status.COMPLETED, Status.FAILED, Status.RESTORED, Status.ROLLED_BACK, Status.DELETED,
}  # fmt: skip

# The name of an end that nobody asked of this very work: all of its kind are stopped.
STOPPED = "stopped"

# The name of an end that a run could not say itself, for its process died; it is stamped when that was noticed.
DIED = "died"

# What a person may ask for.
ASKABLE = {Status.PAUSED, Status.CANCELLED}


@dataclass(frozen=True)
class Work:
    """What is worked on: every event of a piece of work has it. ``first_step`` and ``last_step`` are in its range."""

    work_id: str
    kind: str
    subject: str
    first_step: str = ""
    last_step: str = ""


@dataclass(frozen=True)
class Entry:
    """One event. ``status`` is what the work is from then on; empty where it stays what it was.

    ``event`` is one of `Event`, or of the kind's own. ``rows`` were written. The step's source holds
    ``own_source_rows``, and ``source_rows`` with the neighbours that bear on it; ClickHouse read ``rows_read``, 0 where
    it does not say. What ``total`` sums up and what ``payload`` holds, the kind knows. ``at`` is ClickHouse's stamp and
    orders the events of a log, ``server_at`` its clock then, which ``at`` may be ahead of; an event that is not in the
    log yet has neither.
    """

    event: str
    status: str = ""
    step: str = ""
    chunk: int = 0
    name: str = ""
    is_passed: bool = True
    rows: int = 0
    total: int = 0
    source_rows: int = 0
    own_source_rows: int = 0
    rows_read: int = 0
    bytes_read: int = 0
    seconds: float = 0.0
    requested_by: str = ""
    reason: str = ""
    run_id: str = ""
    payload: str = ""
    at: datetime = EPOCH
    server_at: datetime = EPOCH


@dataclass(frozen=True)
class State:
    """What the events of a piece of work amount to.

    ``done`` are the steps that are done and not undone since, with their last event; ``undone`` those that were undone
    since, likewise; ``did`` says of both how each was done last. ``failed`` are those whose last attempt failed.
    ``read_at`` is ClickHouse's clock, as all stamps are, when the log was read.
    """

    work: Work
    entries: tuple[Entry, ...]
    accepted: Entry
    status: str
    done: Mapping[str, Entry] = field(default_factory=dict)
    failed: Mapping[str, Entry] = field(default_factory=dict)
    run_ids: tuple[str, ...] = ()
    read_at: datetime = EPOCH
    undone: Mapping[str, Entry] = field(default_factory=dict)
    did: Mapping[str, Entry] = field(default_factory=dict)

    @property
    def work_id(self) -> str:
        return self.work.work_id

    @property
    def run_id(self) -> str:
        """The run that carried it out last, or accepted it."""
        return [entry.run_id for entry in self.entries if entry.event in (Event.ACCEPTED, Event.STARTED)][-1]

    @property
    def end(self) -> Entry | None:
        """What it ended as last, None if it never has; its deletion is no end of the work."""
        ends = (Event.ENDED, Event.STEP_DONE, Event.STEP_FAILED)
        ended = [one for one in self.entries if one.event in ends and one.status not in ("", Status.DELETED)]
        return ended[-1] if ended else None

    def gates(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.event == Event.GATE)


def standing(status: str, unheard: str, *, is_at_work: bool) -> str:
    """What a piece of work is, for a run that died could not say so: what was asked of it last, or interrupted."""
    if is_at_work or status not in RESUMABLE:
        return status
    if unheard == Status.CANCELLED or (unheard and status == Status.RUNNING):
        return unheard
    return Status.INTERRUPTED if status == Status.RUNNING else status


@dataclass(frozen=True)
class Ask:
    """A pause or a cancel that a person asked for; the stamps as in `Entry`, ``read_at`` is the server's clock now.

    ``is_settled``: the work has finished since, or had when it was asked, so that nobody carries it out any more.
    """

    status: Status
    requested_by: str
    reason: str
    run_id: str
    at: datetime
    server_at: datetime
    read_at: datetime = field(compare=False)
    is_settled: bool = field(default=False, compare=False)


def asks_of(entries: Iterable[Entry], read_at: datetime) -> tuple[Ask, ...]:
    """What people asked of a piece of work, from its events in order: by name of a run, or by an end where none was.

    A finish settles every request before it, and those between it and the next start: whoever asked then was told that
    there was nothing to stop. An event that asks for neither a pause nor a cancel, or names nobody, is no request.
    """
    asks: list[Ask] = []
    is_over = False
    for entry in entries:
        wanted = entry.name if entry.event == Event.CONTROL else entry.status if entry.event == Event.ENDED else ""
        if wanted in ASKABLE and entry.requested_by:
            facts = (entry.requested_by, entry.reason, entry.run_id, entry.at, entry.server_at, read_at)
            asks.append(Ask(Status(wanted), *facts, is_settled=is_over))
        if entry.status in FINISHED:
            is_over, asks = True, [replace(ask, is_settled=True) for ask in asks]
        elif entry.event == Event.STARTED and entry.status == Status.RUNNING:
            is_over = False
    return tuple(asks)


def unheard_of(entries: Iterable[Entry]) -> str:
    """What was asked while a run was at work and was not carried out yet: that run died, or is at it; empty if nothing.

    A cancel is never overruled; a pause is, by the next run that begins.
    """
    every = tuple(entries)
    asks = [ask for ask in asks_of(every, EPOCH) if not ask.is_settled]
    if any(ask.status is Status.CANCELLED for ask in asks):
        return Status.CANCELLED
    begun_at = max((entry.at for entry in every if entry.event in (Event.STARTED, Event.ENDED)), default=EPOCH)
    return Status.PAUSED if any(ask.at > begun_at for ask in asks) else ""


def overruled(asks: Iterable[Ask], ordered_at: datetime) -> frozenset[Ask]:
    """What an order to go on, given at ``ordered_at`` by the server's clock, overrules: the pauses before it, and
    whatever is settled.

    A stamp from the future says nothing of when it was: the clock that made it was wrong, and the log has it already.
    Nothing else overrules a cancel.
    """
    return frozenset(
        one
        for one in asks
        if one.is_settled or (one.status is not Status.CANCELLED and not ordered_at < one.server_at <= one.read_at)
    )


def outranking(asks: Iterable[Ask]) -> Ask | None:
    """The one that counts of all that are to be heard: a cancel, or else the last pause."""
    found = tuple(asks)
    cancels = [one for one in found if one.status is Status.CANCELLED]
    return next(iter(cancels), found[-1] if found else None)


def state_of(work: Work, entries: Iterable[Entry], read_at: datetime = EPOCH) -> State | None:
    """The state, from the events in their order; None if nothing was accepted."""
    every = tuple(entries)
    accepted = next((entry for entry in every if entry.event == Event.ACCEPTED), None)
    if accepted is None:
        return None
    did: dict[str, Entry] = {}
    undone: dict[str, Entry] = {}
    failed: dict[str, Entry] = {}
    status = ""
    for entry in every:
        status = entry.status or status
        if entry.event == Event.STEP_DONE:
            did[entry.step] = entry
            undone.pop(entry.step, None)
            failed.pop(entry.step, None)
        elif entry.event == Event.STEP_FAILED:
            failed[entry.step] = entry
        elif entry.event == Event.STEP_UNDONE:
            undone[entry.step] = entry
    done = {step: entry for step, entry in did.items() if step not in undone}
    runs = dict.fromkeys(entry.run_id for entry in every if entry.run_id)
    return State(work, every, accepted, status, done, failed, tuple(runs), read_at, undone, did)
