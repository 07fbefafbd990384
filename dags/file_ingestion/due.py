"""Which ingestions are due, and where they look: what the sensor of files decides.

An ingestion is due when its schedule has ticked since it was asked for last; one whose range ends by itself and that
has no schedule, whenever nothing of it runs. Everything is listed once a day, and else what is recent and what waits.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from dags.file_ingestion.fields import Scope
from dags.file_ingestion.ranges import range_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from dags.sources.ingestions import Ingestion


# A range that has no schedule and had nothing to load is looked at again after so long.
LOOKED_AT_AGAIN = timedelta(hours=1)


@dataclass(frozen=True)
class Asked:
    """When an ingestion was asked for last, by the tick of its schedule, and the day on which everything was listed.

    ``is_idle``: nothing was to be loaded then. ``where`` is what was looked for.
    """

    at: datetime
    everything: date
    is_idle: bool = False
    where: str = ""


@dataclass(frozen=True)
class Due:
    """An ingestion that is due: since which tick, and where it looks."""

    ingestion: Ingestion
    tick: datetime
    scope: Scope

    @property
    def name(self) -> str:
        return self.ingestion.name

    @property
    def is_range(self) -> bool:
        return bool(range_of(self.ingestion))


@dataclass(frozen=True)
class Seen:
    """What was seen of an ingestion that is due: how many files wait, unless nobody looked; and why it must not run,
    in words. ``is_over``: nothing of its range is left.
    """

    files: int | None = None
    held: str = ""
    is_over: bool = False


@dataclass(frozen=True)
class Choice:
    """What is launched, in this order, and why the others are not; ``idle`` are those that have nothing to load."""

    launched: tuple[Due, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    idle: frozenset[str] = frozenset()


def where(ingestion: Ingestion) -> str:
    """What an ingestion looks for, and where: a digest, that is another where that is."""
    looked_for = (ingestion.source_path, ingestion.source_file_pattern, str(ingestion.since), str(ingestion.until))
    return hashlib.sha256("\0".join(looked_for).encode()).hexdigest()[:16]


def cursor_of(text: str | None, now: datetime) -> dict[str, Asked]:
    """What a cursor says; nothing of one that cannot be read or was written later than now, so that all is due."""
    try:
        found = {
            name: Asked(
                datetime.fromisoformat(one["at"]),
                date.fromisoformat(one["everything"]),
                one.get("idle") is True,
                str(one.get("where", "")),
            )
            for name, one in json.loads(text or "{}").items()
        }
        # Of a host whose clock was ahead, or of nobody here: it would make nothing due.
        return {name: one for name, one in found.items() if one.at <= now and one.everything <= now.date()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def as_cursor(asked: Mapping[str, Asked]) -> str:
    """A cursor that says so."""
    return json.dumps(
        {
            name: {
                "at": one.at.isoformat(),
                "everything": one.everything.isoformat(),
                "idle": one.is_idle,
                "where": one.where,
            }
            for name, one in asked.items()
        },
        sort_keys=True,
    )


def that_are_due(
    ingestions: Sequence[Ingestion],
    asked: Mapping[str, Asked],
    last_tick: Callable[[str, str], datetime],
    now: datetime,
    failed: Collection[str] = (),
) -> tuple[Due, ...]:
    """The ingestions that are due. ``last_tick`` is when a cron in a time zone ticked last, now included; of ``failed``
    the last run has failed, and may have listed nothing.
    """
    found = []
    for one in ingestions:
        if one.status != "ACTIVE" or (one.cron is None and not range_of(one)):
            continue
        before = asked.get(one.name)
        tick = now if one.cron is None else last_tick(one.cron, one.schedule_time_zone)
        wait = LOOKED_AT_AGAIN if one.cron is None and before is not None and before.is_idle else timedelta(0)
        if before is not None and tick <= before.at + wait:
            continue
        is_listed = before is not None and before.everything >= now.date() and before.where == where(one)
        found.append(Due(one, tick, Scope.RECENT if is_listed and one.name not in failed else Scope.EVERYTHING))
    return tuple(found)


def choose(due: Sequence[Due], busy: Mapping[str, str], seen: Mapping[str, Seen], normal_waits: str) -> Choice:
    """What is launched of what is due. ``busy``: of some, in words, the run because of which no other begins;
    ``normal_waits``: a run of an ingestion without a range that has not begun, before which no range does.

    Normal runs go first. A range waits while one of them has not begun.
    """
    launched, others = list[Due](), dict[str, str]()
    for one in sorted(due, key=lambda one: (one.is_range, one.name)):
        what = seen.get(one.name, Seen())
        if run := busy.get(one.name):
            others[one.name] = run
        elif what.held:
            others[one.name] = what.held
        elif one.is_range and normal_waits:
            others[one.name] = f"its range gives way to run {normal_waits[:8]}"
        elif what.files == 0:
            others[one.name] = "no file waits"
        else:
            launched.append(one)
    idle = frozenset(name for name in others if name not in busy and _is_idle(seen.get(name, Seen())))
    return Choice(tuple(launched), others, idle)


def _is_idle(seen: Seen) -> bool:
    return seen.is_over or (not seen.held and seen.files == 0)


def after(asked: Mapping[str, Asked], due: Sequence[Due], choice: Choice, now: datetime) -> dict[str, Asked]:
    """What the next tick is to know: what was launched, and what was looked at and has nothing to load, is asked for;
    what was held back is due again.
    """
    known = dict(asked)
    for one in due:
        if one in choice.launched or one.name in choice.idle:
            before = known.get(one.name)
            day = before.everything if one.scope is Scope.RECENT and before is not None else now.date()
            known[one.name] = Asked(one.tick, day, one.name in choice.idle, where(one.ingestion))
    return known
