"""What a managed backfill keeps in the log of its work: its subject is a table, a step of it is a day.

The one place where days become steps and steps days.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

from dags.domain.days import DayRange
from dags.publish.backup import BackedUp
from dags.work.audit.log import MANAGED, Event, Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dags.managed_backfill.plan import Plan
    from dags.work.audit.log import Entry, State
    from dags.work.audit.store import Row

# The name of a failed day whose readers see the old one for certain.
UNTOUCHED = "untouched"


class DayEvent(StrEnum):
    """The events that a managed backfill has beside those of all work."""

    BACKED_UP = "day_backed_up"
    SWAPPING = "day_swapping"


def work_of(backfill_id: str, plan: Plan) -> Work:
    """The work that a plan becomes once it is accepted: from the first day that it rebuilds to the last."""
    days = plan.days
    return Work(backfill_id, MANAGED, plan.scope.table, str(days[0]), str(days[-1]))


def days_of(work: Work) -> DayRange:
    """The range of a backfill, from the first day to the last."""
    return DayRange.through(work.first_step, work.last_step)


def days_by_table(rows: Iterable[Row]) -> dict[tuple[str, date], Row]:
    """The (table, day) of backfills, and which backfill has it."""
    return {(row.work.subject, day): row for row in rows for day in days_of(row.work)}


@dataclass(frozen=True)
class Days:
    """What the events of a backfill amount to, day by day.

    ``done`` are the days that are published and not restored since, with their last event; ``failed`` those whose last
    attempt failed. ``backed_up`` says since when the backup holds a day: the last record before the first swap.
    ``swapping`` are the swaps of a day that were begun since it was last as before, and may have happened.
    """

    done: Mapping[date, Entry] = field(default_factory=dict)
    failed: Mapping[date, Entry] = field(default_factory=dict)
    backed_up: Mapping[date, Entry] = field(default_factory=dict)
    swapping: Mapping[date, tuple[Entry, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, state: State) -> Days:
        """The days of a state."""
        backed_up: dict[date, Entry] = {}
        swapping: dict[date, tuple[Entry, ...]] = {}
        for entry in state.entries:
            if (day := day_of(entry.step)) is None:
                continue
            if entry.event == DayEvent.BACKED_UP:
                if day not in backed_up or (entry.payload and not _of_others(swapping, day, entry)):
                    backed_up[day] = entry
            elif entry.event == DayEvent.SWAPPING:
                swapping[day] = (*swapping.get(day, ()), entry)
            elif entry.event == Event.STEP_FAILED and entry.name == UNTOUCHED:
                swapping[day] = _of_others(swapping, day, entry)
            elif entry.event == Event.STEP_UNDONE:
                swapping.pop(day, None)
        done, failed = (
            {day: entry for step, entry in found.items() if (day := day_of(step)) is not None}
            for found in (state.done, state.failed)
        )
        return cls(done, failed, backed_up, swapping)


def day_of(step: str) -> date | None:
    """The day that a step is; None where it is none, as in a row that somebody wrote by hand."""
    with suppress(ValueError):
        return date.fromisoformat(step)
    return None


def recorded_of(entry: Entry) -> BackedUp:
    """What an event says of a day's backup."""
    return BackedUp(entry.rows, entry.total, entry.payload)


def _of_others(swapping: Mapping[date, tuple[Entry, ...]], day: date, entry: Entry) -> tuple[Entry, ...]:
    """The swaps of an event's day that other runs have begun; a run builds a day once."""
    return tuple(one for one in swapping.get(day, ()) if one.run_id != entry.run_id)
