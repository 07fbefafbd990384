"""Which gaps have opened since the last look, and which are over.

Pure: no clock, no database, no Dagster. A gap is a table's day with units that are wrong; those that await a person's
word are one by themselves, for nothing repairs them and they may stay for long. A day's end says how old its data is,
and not since when it is wrong: rows are lost, and arrive late, on days that were right for weeks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dags.domain.units import EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from dags.detection.detection import Detection


class GapEvent(StrEnum):
    """What happens to a gap. ``LEFT``: its day lies before the look-back now, and nobody judges it any more."""

    OPENED = "opened"
    CLOSED = "closed"
    LEFT = "left"


@dataclass(frozen=True, order=True)
class Gap:
    """A table's day that is wrong, and since when by ClickHouse's clock."""

    table: str
    day: date
    is_held: bool
    since: datetime

    @property
    def place(self) -> tuple[str, date, bool]:
        return self.table, self.day, self.is_held


@dataclass(frozen=True)
class Change:
    """An event of a gap. ``since`` is when it was opened, of one that is over."""

    table: str
    day: date
    is_held: bool
    event: GapEvent
    units: int = 0
    reason: str = ""
    since: datetime = EPOCH


def changes(known: Iterable[Gap], found: Detection) -> tuple[Change, ...]:
    """What has become of gaps, by what was found now.

    Of a table that could not be read, of days that are not verified yet and of days after those that were judged,
    nothing is said: a gap there stays as it is.
    """
    units: dict[tuple[str, date, bool], Counter[str]] = defaultdict(Counter)
    for one in found.wrong.groups:
        units[one.table, one.day, one.awaits_permission][one.reason] += len(one)
    gaps = {gap.place: gap for gap in known}
    made = [
        Change(*place, GapEvent.OPENED, reasons.total(), reasons.most_common(1)[0][0])
        for place, reasons in units.items()
        if place not in gaps
    ]
    for place, gap in gaps.items():
        if place in units or gap.table not in found.tables or gap.table in found.unknown:
            continue
        if gap.day < found.calendar.judged.start:
            made.append(Change(*place, GapEvent.LEFT, since=gap.since))
        elif gap.day in found.calendar.judged and gap.day not in found.unverified:
            made.append(Change(*place, GapEvent.CLOSED, since=gap.since))
    return tuple(sorted(made, key=lambda one: (one.table, one.day, one.is_held)))
