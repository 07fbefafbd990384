"""Where in time a trace goes, so that an old one looks like the last weeks.

A trace moves forward by whole days until its last full UTC day is the last that is shown: time of day, order and holes
stay what they are. A trace of days that are too recent to be shown, such as today alone, moves back, as nothing would
be left otherwise. None else does: times ahead of today mean a wrong clock, and a recent trace keeps its true times.
What lies after the days that are shown, shifted or not, is left out and counted. Pure: the days are values.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from dags.demo.traffic.page_views import PageView
from dags.domain.days import ONE_DAY
from dags.domain.text import counted

# A trace that still has a hit at this hour or later went on to the end of its last day. Chosen: of a site
# that has less than a hit an hour at night the last day is left out, which costs a day and invents nothing.
FINAL_HOUR = time(23, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shift:
    """How many whole days a trace moves forward, fewer than none for one that moves back, and why, in words."""

    days: int
    reason: str


def plan_shift(last_hit_by_day: Mapping[date, datetime], end: date, today: date | None = None) -> Shift:
    """Choose the shift of one trace from the last hit, of any kind, on each UTC day that has one.

    ``end`` is the first day that is not shown: ``today``, or the day before while that is not judged yet.

    The last full day is the last day when its last hit is in the final hour, or else the day before: the
    trace went on after that, even if it has no hit at all. A trace of one partial day has no full one; then
    this day counts, as nothing would be left otherwise. Days after today are ignored: one wrong clock must
    not move the rest.

    Raises:
        ValueError: an instant is naive, so that its UTC day is not known.
    """
    if any(at.tzinfo is None for at in last_hit_by_day.values()):
        raise ValueError("last_hit_by_day holds a naive datetime: give every instant with its time zone")
    days = [day for day in last_hit_by_day if day <= (today or end)]
    if not days:
        return Shift(0, "has no hit up to today: times kept")
    newest, first, last = end - ONE_DAY, min(days), max(days)
    if first > newest:
        back = counted((first - newest).days, "day")
        return Shift((newest - first).days, f"begins on {first}, too recent to be judged: shifted back by {back}")
    if last >= newest:
        return Shift(0, f"has hits up to {last}: times kept")
    if last_hit_by_day[last].astimezone(UTC).timetz() >= FINAL_HOUR:
        shown, words = last, "last full day"
    elif first < last:
        shown, words = last - ONE_DAY, "last full day"
    else:
        shown, words = last, "only day, a partial one,"
    moved = (newest - shown).days
    return Shift(moved, f"{words} {shown} became {newest}: shifted by {counted(moved, 'day')}")


def apply_shift(page_views: Iterable[PageView], shift: Shift, end: date) -> tuple[list[PageView], int]:
    """Move page views; give those before ``end``, and how many others were left out."""
    moved_by, midnight = timedelta(days=shift.days), datetime.combine(end, time(), tzinfo=UTC)
    kept: list[PageView] = []
    dropped = 0
    for view in page_views:
        if view.at >= midnight - moved_by:
            dropped += 1
        else:
            kept.append(view._replace(at=view.at + moved_by) if shift.days else view)
    return kept, dropped
