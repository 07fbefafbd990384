"""UTC calendar days: when each may be judged, and how to say many of them briefly.

Pure: no clock, no database, no Dagster. A range is half-open, ``[start, end)``, so ranges that touch share no
day and an event stamped at midnight belongs to one day, never to both or to neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The first and the last day that ClickHouse's `Date` has: others are typing errors.
FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(2148, 12, 31)

ONE_DAY = timedelta(days=1)

# Ten years: beyond it a look-back is a typing error.
MAX_LOOKBACK_DAYS = 3650


@dataclass(frozen=True, order=True)
class DayRange:
    """The days of ``[start, end)``; empty when ``start >= end``."""

    start: date
    end: date

    @classmethod
    def through(cls, first: str, last: str) -> DayRange:
        """From one day to another, both in it, as a log keeps them: ``YYYY-MM-DD``."""
        return cls(date.fromisoformat(first), date.fromisoformat(last) + ONE_DAY)

    def __iter__(self) -> Iterator[date]:
        return (self.start + timedelta(days=n) for n in range(len(self)))

    def __len__(self) -> int:
        return max((self.end - self.start).days, 0)

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.start <= day < self.end

    def __str__(self) -> str:
        last = self.end - ONE_DAY
        return f"{self.start}" if len(self) == 1 else f"{self.start} … {last}"


@dataclass(frozen=True)
class Calendar:
    """Which days a reading of the clock lets us judge.

    ``judged`` holds the days to judge, all of them over and settled, as are all before ``settled_before``. A day is
    *closed* when so are the days that its source reaches into: what began on it has ended and arrived, so its source is
    final and a difference means something. Else it is *open*: rows may be missing, but a source that still moves is no
    fault.
    """

    judged: DayRange
    settled_before: date

    def closed_before(self, reach_days: int) -> date:
        """The first day that is open, of a source whose rows bear on so many days before and after their own."""
        return self.settled_before - reach_days * ONE_DAY

    def is_open(self, day: date, reach_days: int) -> bool:
        return day >= self.closed_before(reach_days)

    def within(self, days: DayRange) -> Calendar:
        """The same calendar, of these days alone."""
        start, end = max(self.judged.start, days.start), min(self.judged.end, days.end)
        return Calendar(DayRange(start, max(start, end)), self.settled_before)


def calendar(now: datetime, *, lookback_days: int, settle: timedelta, first_day: date = FIRST_DAY) -> Calendar:
    """The days of ``[today - lookback_days, today)`` that are settled, none before ``first_day``.

    A day is judged once ``settle`` has passed since its end, because late events are normal and a verdict on a
    half-arrived day is noise.

    Raises:
        ValueError: ``now`` is naive; the days would silently be those of another time zone.
    """
    if now.tzinfo is None:
        raise ValueError(f"now is {now!r}: give an aware datetime, days are UTC days")
    today = now.astimezone(UTC).date()
    # The first day that is *not* yet judged: the day that has just ended is left out until its settle time has passed,
    # however long that is.
    settled_before = min((now - settle).astimezone(UTC).date(), today)
    start = max(today - timedelta(days=lookback_days), first_day)
    return Calendar(DayRange(start, settled_before), settled_before)


def validated_day(partition_key: str) -> date:
    """The day of a partition key.

    Raises:
        ValueError: not ``YYYY-MM-DD``, no day of the calendar, before `FIRST_DAY` or after `LAST_DAY`.
    """
    try:
        day = date.fromisoformat(partition_key)
    except ValueError as error:
        raise ValueError(f"not a day ({error}); give YYYY-MM-DD") from None
    if day.isoformat() != partition_key:
        raise ValueError("give YYYY-MM-DD, with hyphens")
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"ClickHouse's days are {FIRST_DAY} … {LAST_DAY}")
    return day


def start_of(day: date) -> datetime:
    """The instant at which a UTC day begins."""
    return datetime.combine(day, time.min, tzinfo=UTC)


def merged(days: Iterable[date]) -> tuple[DayRange, ...]:
    """Consecutive days joined into ranges, oldest first; duplicates count once."""
    ranges: list[DayRange] = []
    for day in sorted(set(days)):
        if ranges and ranges[-1].end == day:
            ranges[-1] = DayRange(ranges[-1].start, day + ONE_DAY)
        else:
            ranges.append(DayRange(day, day + ONE_DAY))
    return tuple(ranges)


def in_words(days: Iterable[date]) -> str:
    """Days as a person says them: ``2026-01-02 … 2026-01-05, 2026-01-09``."""
    return ", ".join(str(r) for r in merged(days)) or "none"
