"""Which gaps have opened since the last look, and which are over.

Pure: no clock, no database, no Dagster. A gap is a table's day with units that are wrong; those that await a person's
word are one by themselves, for nothing repairs them and they may stay for long. A day's end says how old its data is,
and not since when it is wrong: rows are lost, and arrive late, on days that were right for weeks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from dags.domain.units import EPOCH

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import date, datetime

    from dags.detection.detection import Detection


class GapEvent(StrEnum):
    """What happens to a gap. ``LEFT``: its day lies before the look-back now, and nobody judges it any more."""

    OPENED = "opened"
    CLOSED = "closed"
    LEFT = "left"


class ClosedBy(StrEnum):
    """What closed a gap, as far as it can be seen; ``OTHER``: its source shrank, its teams left the list, a restore."""

    BUILD = "build"
    WAIVER = "waiver"
    OTHER = "other"


# A table, its day, and whether the units await a person's word.
Place = tuple[str, "date", bool]


@dataclass(frozen=True, order=True)
class Gap:
    """A table's day that is wrong, and since when by ClickHouse's clock; ``waived`` of its other units were so then."""

    table: str
    day: date
    is_held: bool
    since: datetime
    waived: int = 0

    @property
    def place(self) -> Place:
        return self.table, self.day, self.is_held


@dataclass(frozen=True)
class Change:
    """An event of a gap. ``since`` is when it was opened, and ``closed_by`` what closed it, of one that is over."""

    table: str
    day: date
    is_held: bool
    event: GapEvent
    units: int = 0
    reason: str = ""
    waived: int = 0
    since: datetime = EPOCH
    closed_by: ClosedBy | None = None

    @property
    def place(self) -> Place:
        return self.table, self.day, self.is_held


def changes(known: Iterable[Gap], found: Detection, over_lately: Collection[Place] = ()) -> tuple[Change, ...]:
    """What has become of gaps, by what was found now; a gap that closed and is not waived is closed by something else.

    Of a table that could not be read, of days that are not verified yet and of days after those that were judged,
    nothing is said: a gap there stays as it is. So it does where no team is enabled, for nothing is watched then, and
    where somebody who began to look later has spoken already: of a gap that was opened since, and of those in
    ``over_lately``, which were over since.
    """
    if found.server_at is None or not found.teams:
        return ()
    units: dict[Place, Counter[str]] = defaultdict(Counter)
    for one in found.wrong.groups:
        units[one.table, one.day, one.awaits_permission][one.reason] += len(one)
    waived: Counter[tuple[str, date]] = Counter()
    for one in found.waived.groups:
        waived[one.table, one.day] += len(one)
    gaps = {gap.place: gap for gap in known}
    made = [
        Change(*place, GapEvent.OPENED, reasons.total(), reasons.most_common(1)[0][0], waived[place[:2]])
        for place, reasons in units.items()
        if place not in gaps and place not in over_lately
    ]
    for place, gap in gaps.items():
        is_known = gap.table in found.tables and gap.table not in found.unknown
        if place in units or not is_known or gap.since > found.server_at:
            continue
        if gap.day < found.calendar.judged.start:
            made.append(Change(*place, GapEvent.LEFT, since=gap.since))
        elif gap.day in found.calendar.judged and gap.day not in found.unverified:
            by = ClosedBy.WAIVER if waived[place[:2]] > gap.waived else ClosedBy.OTHER
            made.append(Change(*place, GapEvent.CLOSED, since=gap.since, closed_by=by))
    return tuple(sorted(made, key=lambda one: one.place))


def oldest_age(gaps: Iterable[Gap], now: datetime) -> timedelta:
    """How long the oldest of them has been open by ClickHouse's clock, since it was seen first; none without one."""
    return max((now - gap.since for gap in gaps), default=timedelta())


def with_builds(made: Iterable[Change], built_at: Mapping[tuple[str, date], datetime]) -> tuple[Change, ...]:
    """The same, those closed by a build of which one succeeded since they were opened; ``built_at``: the last one."""
    return tuple(
        replace(one, closed_by=ClosedBy.BUILD)
        if one.closed_by is ClosedBy.OTHER and built_at.get((one.table, one.day), EPOCH) >= one.since
        else one
        for one in made
    )
