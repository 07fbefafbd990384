"""What happened to a backfill, as it is kept: events that are appended, and what they amount to.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from dags.domain.units import EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime

NO_DAY = EPOCH.date()

# The name of a `day_failed` whose readers see the old day for certain.
UNTOUCHED = "untouched"

MANAGED, AUTOMATIC = "managed", "automatic"


class Event(StrEnum):
    """The events, as the table has them."""

    ACCEPTED = "accepted"
    STARTED = "started"
    GATE = "gate"
    DAY_BACKED_UP = "day_backed_up"
    DAY_SWAPPING = "day_swapping"
    DAY_DONE = "day_done"
    DAY_FAILED = "day_failed"
    DAY_RESTORED = "day_restored"
    CHUNK_DONE = "chunk_done"
    CHUNK_FAILED = "chunk_failed"
    CONTROL = "control"
    ENDED = "ended"


class Status(StrEnum):
    """What a backfill is."""

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

# Nothing more happens by itself: these can be deleted.
FINISHED = {
    Status.CANCELLED, Status.COMPLETED, Status.FAILED, Status.RESTORED, Status.ROLLED_BACK, Status.DELETED,
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One event. ``status`` is what the backfill is from then on; empty where it stays what it was.

    ``at`` is ClickHouse's stamp and orders the events of a log, ``server_at`` its clock then, which ``at`` may be ahead
    of; an event that is not in the log yet has neither.
    """

    event: Event
    status: str = ""
    origin: str = ""
    table: str = ""
    start: date = NO_DAY
    end: date = NO_DAY
    chunk: int = 0
    day: date = NO_DAY
    name: str = ""
    is_passed: bool = True
    rows: int = 0
    total: int = 0
    source_rows: int = 0
    seconds: float = 0.0
    requested_by: str = ""
    reason: str = ""
    run_id: str = ""
    detail: str = ""
    at: datetime = EPOCH
    server_at: datetime = EPOCH


@dataclass(frozen=True)
class State:
    """What the events of one backfill amount to.

    ``done`` are the days that are published and not restored since, with their last event; ``failed`` those whose last
    attempt failed. ``backed_up`` says since when the backup holds a day: the last record before the first swap.
    ``swapping`` are the swaps of a day that were begun since it was last as before, and may have happened. ``read_at``
    is ClickHouse's clock, as all stamps are, when the log was read.
    """

    backfill_id: str
    entries: tuple[Entry, ...]
    accepted: Entry
    status: str
    done: Mapping[date, Entry] = field(default_factory=dict)
    failed: Mapping[date, Entry] = field(default_factory=dict)
    backed_up: Mapping[date, Entry] = field(default_factory=dict)
    swapping: Mapping[date, tuple[Entry, ...]] = field(default_factory=dict)
    run_ids: tuple[str, ...] = ()
    read_at: datetime = EPOCH

    @property
    def run_id(self) -> str:
        """The run that carried it out last, or accepted it."""
        return [entry.run_id for entry in self.entries if entry.event in (Event.ACCEPTED, Event.STARTED)][-1]

    def gates(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.event is Event.GATE)


def standing(status: str, unheard: str, *, is_at_work: bool) -> str:
    """What a backfill is, for a run that died could not say so: what was asked of it last, or else interrupted."""
    if is_at_work or status not in RESUMABLE:
        return status
    if unheard == Status.CANCELLED or (unheard and status == Status.RUNNING):
        return unheard
    return Status.INTERRUPTED if status == Status.RUNNING else status


@dataclass(frozen=True)
class Ask:
    """A pause or a cancel that a person asked for; the stamps as in `Entry`, ``read_at`` is the server's clock now."""

    status: Status
    requested_by: str
    reason: str
    run_id: str
    at: datetime
    server_at: datetime
    read_at: datetime = field(compare=False)


def overruled(asks: Iterable[Ask], ordered_at: datetime) -> frozenset[Ask]:
    """The pauses that an order to go on, given at ``ordered_at`` by the server's clock, overrules: those before it.

    A stamp from the future says nothing of when it was: the clock that made it was wrong, and the log has it already.
    Nothing overrules a cancel.
    """
    return frozenset(
        one for one in asks if one.status is not Status.CANCELLED and not ordered_at < one.server_at <= one.read_at
    )


def outranking(asks: Iterable[Ask]) -> Ask | None:
    """The one that counts of all that are to be heard: a cancel, or else the last pause."""
    found = tuple(asks)
    cancels = [one for one in found if one.status is Status.CANCELLED]
    return next(iter(cancels), found[-1] if found else None)


def state_of(backfill_id: str, entries: Iterable[Entry], read_at: datetime = EPOCH) -> State | None:
    """The state, from the events in their order; None if there are none."""
    told = tuple(entries)
    accepted = next((entry for entry in told if entry.event is Event.ACCEPTED), None)
    if accepted is None:
        return None
    done: dict[date, Entry] = {}
    failed: dict[date, Entry] = {}
    backed_up: dict[date, Entry] = {}
    swapping: dict[date, tuple[Entry, ...]] = {}
    status = ""
    for entry in told:
        status = entry.status or status
        if entry.event is Event.DAY_BACKED_UP:
            if entry.day not in backed_up or (entry.detail and not _of_others(swapping, entry)):
                backed_up[entry.day] = entry
        elif entry.event is Event.DAY_SWAPPING:
            swapping[entry.day] = (*swapping.get(entry.day, ()), entry)
        elif entry.event is Event.DAY_DONE:
            done[entry.day] = entry
            failed.pop(entry.day, None)
        elif entry.event is Event.DAY_FAILED:
            failed[entry.day] = entry
            if entry.name == UNTOUCHED:
                swapping[entry.day] = _of_others(swapping, entry)
        elif entry.event is Event.DAY_RESTORED:
            done.pop(entry.day, None)
            swapping.pop(entry.day, None)
    runs = dict.fromkeys(entry.run_id for entry in told if entry.run_id)
    return State(backfill_id, told, accepted, status, done, failed, backed_up, swapping, tuple(runs), read_at)


def _of_others(swapping: Mapping[date, tuple[Entry, ...]], entry: Entry) -> tuple[Entry, ...]:
    """The swaps of an event's day that other runs have begun; a run builds a day once."""
    return tuple(one for one in swapping.get(entry.day, ()) if one.run_id != entry.run_id)
