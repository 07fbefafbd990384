"""How repairs have gone in the last days: what every evaluation says beside what is wrong now.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from dags.domain.units import EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, datetime

# So many weeks of builds are shown, the one that is not over among them.
WEEKS_SHOWN = 8

# A week holds each weekday once, so that the figure does not move with the traffic of weekends.
RECENT_DAYS = 7


class Builds(NamedTuple):
    """How builds of a table's days ended. What was held, or skipped for another run built it, is neither of the two."""

    succeeded: int = 0
    failed: int = 0
    held: int = 0

    @property
    def success_rate(self) -> float | None:
        """From 0 to 1; None where none has succeeded or failed, for no build is no success."""
        ended = self.succeeded + self.failed
        return self.succeeded / ended if ended else None


class Build(NamedTuple):
    """A build of a table's day by a run, and how it ended: built, failed, held or skipped. ``week``: the Monday."""

    week: date
    table: str
    outcome: str
    source_rows: int
    error: str
    started_at: datetime
    finished_at: datetime


class BuildsTook(NamedTuple):
    """How they ended, how long they took in all, and how many rows of the source they were built from."""

    builds: Builds = Builds()
    seconds: float = 0.0
    source_rows: int = 0


class BuildsLately(NamedTuple):
    """How those of the last `RECENT_DAYS` ended; when the last of them that failed did, and why."""

    builds: Builds = Builds()
    failed_at: datetime | None = None
    error: str = ""


class Gaps(NamedTuple):
    """Gaps that opened and closed; hours from first seen wrong to seen right of those that a build closed, None where
    there was none.
    """

    opened: int = 0
    closed: int = 0
    median_hours: float | None = None
    p90_hours: float | None = None


@dataclass(frozen=True)
class Recent:
    """How builds ended, and gaps opened and closed, in the last `RECENT_DAYS` days by ClickHouse's clock, by table;
    and what builds took by the Monday of their week and table, for `WEEKS_SHOWN` weeks. None of a table of which there
    was none in all that time.
    """

    lately: Mapping[str, BuildsLately] = field(default_factory=dict)
    gaps: Mapping[str, Gaps] = field(default_factory=dict)
    weeks: Mapping[tuple[date, str], BuildsTook] = field(default_factory=dict)

    @property
    def builds(self) -> dict[str, Builds]:
        """Of the last days alone, by table."""
        return {table: one.builds for table, one in self.lately.items()}

    @property
    def all_builds(self) -> Builds:
        """Of all tables together."""
        return Builds(*map(sum, zip(*self.builds.values(), strict=True)))


def of_builds(builds: Iterable[Build], since: datetime) -> Recent:
    """What these builds amount to by week; and of those that ended since that instant, how they ended."""
    weeks: dict[tuple[date, str], BuildsTook] = {}
    lately: dict[str, BuildsLately] = {}
    for one in builds:
        # As the view of weeks counts: from millisecond to millisecond, whatever lies within one.
        seconds = (_milliseconds(one.finished_at) - _milliseconds(one.started_at)) / 1000
        took = BuildsTook(_ended(one), seconds, one.source_rows)
        weeks[one.week, one.table] = _together(weeks.get((one.week, one.table), BuildsTook()), took)
        before = lately.setdefault(one.table, BuildsLately())
        if one.finished_at < since:
            continue
        is_last = one.outcome == "failed" and one.finished_at >= (before.failed_at or EPOCH)
        last = (one.finished_at, one.error) if is_last else before[1:]
        lately[one.table] = BuildsLately(_sum(before.builds, _ended(one)), *last)
    return Recent(lately, weeks=weeks)


def _ended(build: Build) -> Builds:
    return Builds(*(int(build.outcome == outcome) for outcome in ("built", "failed", "held")))


def _milliseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)


def _together(one: BuildsTook, other: BuildsTook) -> BuildsTook:
    return BuildsTook(_sum(one.builds, other.builds), one.seconds + other.seconds, one.source_rows + other.source_rows)


def added(shards: Sequence[Recent]) -> Recent:
    """What several shards say, together: counts and times add up; of hours, which do not, those of the slowest shard.

    None of a shard is read as none at all: whoever lacks one has no answer.
    """
    lately: dict[str, BuildsLately] = {}
    gaps: dict[str, Gaps] = {}
    weeks: dict[tuple[date, str], BuildsTook] = {}
    for one in shards:
        for table, its in one.lately.items():
            known = lately.get(table, BuildsLately())
            last = max(known, its, key=lambda some: some.failed_at or EPOCH)
            lately[table] = BuildsLately(_sum(known.builds, its.builds), last.failed_at, last.error)
        for table, own in one.gaps.items():
            so_far = gaps.get(table, Gaps())
            hours = [max(filter(None, pair), default=None) for pair in zip(so_far[2:], own[2:], strict=True)]
            gaps[table] = Gaps(so_far.opened + own.opened, so_far.closed + own.closed, *hours)
        for week, took in one.weeks.items():
            weeks[week] = _together(weeks.get(week, BuildsTook()), took)
    return Recent(lately, gaps, weeks)


def _sum(one: Builds, other: Builds) -> Builds:
    return Builds(*map(sum, zip(one, other, strict=True)))
