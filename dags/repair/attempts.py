"""Which runs have tried to build a unit in vain, and when it may be tried again.

Pure: no clock, no database, no Dagster. Each unit backs off by itself, so that a team that cannot be built keeps no
other waiting.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from itertools import compress
from typing import TYPE_CHECKING

from dags.detection.rules import Cause
from dags.domain.days import ONE_DAY
from dags.domain.text import counted
from dags.domain.units import ALL_TEAMS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from dags.detection.rules import Judged
    from dags.detection.verdicts import Alike

# After a failed attempt at a day: 6 h, 12 h, 24 h … The first is the sensor's own interval, so that the next tick
# tries again; the last keeps a day that cannot be built from being tried more than once a week.
FIRST_BACKOFF = timedelta(hours=6)
LONGEST_BACKOFF = timedelta(days=7)


class RunState(StrEnum):
    """A run, as far as the decision cares."""

    IN_FLIGHT = "in flight"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class Run:
    """A run, by any trigger, that covers a day of the watched tables. ``ended_at`` is None while it is in flight.

    ``teams_by_table`` names the teams that it was asked for; a table that is not in it is built for all of them.
    ``plan_id``: its teams are in ClickHouse, under this plan, and not here yet. ``shard``: which one it builds, 0 where
    it names none. ``reasons``: why the planner launched it, of all its units.
    """

    run_id: str
    day: date
    tables: frozenset[str]
    state: RunState
    created_at: datetime
    ended_at: datetime | None
    is_automatic: bool
    teams_by_table: Mapping[str, frozenset[int]] = field(default_factory=dict)
    plan_id: str = ""
    shard: int = 0
    reasons: str = ""

    def is_of(self, shard: int) -> bool:
        """Whether it may build something there, or has tried to: one that names no shard may until it is refused."""
        return shard in {0, self.shard} or (not self.shard and self.ended_at is None)

    def covers(self, table: str, team: int) -> bool:
        teams = self.teams_by_table.get(table)
        return table in self.tables and (teams is None or team == ALL_TEAMS or team in teams)

    def has_failed(self, judged: Judged) -> bool:
        """Whether a unit that it covered and that is wrong now says that it failed, see `failed_attempts`."""
        if self.state is not RunState.SUCCEEDED or not self.is_automatic:
            return self.state is not RunState.SUCCEEDED
        return judged.blames_the_build and (judged.cause is not Cause.ROWS_LOST or Cause.ROWS_LOST in self.reasons)


def divided_by_backoff(verdicts: Sequence[Alike], runs: Sequence[Run], now: datetime) -> tuple[list[Alike], str, int]:
    """Which units may be built now; of those that may not yet, in words how long; and the attempt this is.

    Each unit backs off by itself: a team that cannot be built waits longer each time, and the others of its day do
    not wait for it.
    """
    if not runs:
        return list(verdicts), "", 0
    due: list[Alike] = []
    waiting: Counter[tuple[int, datetime]] = Counter()
    attempt = 0
    for one in verdicts:

        def covering(team: int, table: str = one.table) -> tuple[bool, ...]:
            return tuple(run.covers(table, team) for run in runs)

        for covers, units in one.split(covering).items():
            failed = failed_attempts(list(compress(runs, covers)), one, now)
            again = ended(failed[0]) + backoff(len(failed)) if failed else now
            if now < again:
                waiting[len(failed), again] += len(units)
            else:
                due.append(units)
                attempt = max(attempt, len(failed))
    words = ", ".join(
        f"{counted(failures, 'attempt')} left {counted(units, 'unit')} wrong, next from {again:%Y-%m-%d %H:%M} UTC"
        for (failures, again), units in sorted(waiting.items(), key=lambda item: item[0][1])
    )
    return due, words, attempt


def ended(run: Run) -> datetime:
    if run.ended_at is None:
        raise ValueError(f"run {run.run_id} has not ended")
    return run.ended_at


def failed_attempts(runs: Sequence[Run], judged: Judged, now: datetime) -> list[Run]:
    """The unbroken row of latest attempts that left a unit wrong, newest first.

    A run that failed or was cancelled is one, whoever launched it. A run that succeeded is one if it was launched to
    repair the unit and the unit is wrong all the same; not if the source has changed since. Nor if rows were lost
    since: what it built was read back, so it did its work; but if it was itself launched because rows were lost,
    something takes them away again and again, and it is one. (It says of all its units together why it was launched.)
    Attempts longer ago than the longest back-off are another story.
    """
    failed: list[Run] = []
    newer = now
    for run in reversed(runs):
        if run.ended_at is None or newer - run.ended_at > LONGEST_BACKOFF + ONE_DAY:
            break
        if not run.has_failed(judged):
            break
        failed.append(run)
        newer = run.ended_at
    return failed


def backoff(failures: int) -> timedelta:
    """How long to wait after so many failed attempts in a row; doubles each time, up to `LONGEST_BACKOFF`."""
    doublings = min(failures - 1, 10)  # 1024 × 6 h is beyond the longest; more would overflow
    return min(FIRST_BACKOFF * (1 << doublings), LONGEST_BACKOFF)
