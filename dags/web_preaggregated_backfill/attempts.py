"""Which runs have tried to build a unit in vain, and when it may be tried again.

Pure: no clock, no database, no Dagster. Each unit backs off by itself, so that a team that cannot be built keeps no
other waiting.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from dags.days import ONE_DAY
from dags.units import ALL_TEAMS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from dags.units import Unit
    from dags.web_preaggregated_backfill.rules import Verdict

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
    """

    run_id: str
    day: date
    tables: frozenset[str]
    state: RunState
    created_at: datetime
    ended_at: datetime | None
    is_automatic: bool
    teams_by_table: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def covers(self, unit: Unit) -> bool:
        teams = self.teams_by_table.get(unit.table)
        return unit.table in self.tables and (teams is None or unit.team_id == ALL_TEAMS or unit.team_id in teams)


def divided_by_backoff(
    verdicts: Sequence[Verdict], runs: Sequence[Run], now: datetime
) -> tuple[list[Verdict], str, int]:
    """Which units may be built now; of those that may not yet, in words how long; and the attempt this is.

    Each unit backs off by itself: a team that cannot be built waits longer each time, and the others of its day do
    not wait for it.
    """
    if not runs:
        return list(verdicts), "", 0
    due: list[Verdict] = []
    waiting: Counter[tuple[int, datetime]] = Counter()
    attempt = 0
    for verdict in verdicts:
        failed = failed_attempts([run for run in runs if run.covers(verdict.unit)], verdict, now)
        again = ended(failed[0]) + backoff(len(failed)) if failed else now
        if now < again:
            waiting[len(failed), again] += 1
        else:
            due.append(verdict)
            attempt = max(attempt, len(failed))
    words = ", ".join(
        f"{failures} attempts left {units:,} units wrong, next from {again:%Y-%m-%d %H:%M} UTC"
        for (failures, again), units in sorted(waiting.items(), key=lambda item: item[0][1])
    )
    return due, words, attempt


def ended(run: Run) -> datetime:
    if run.ended_at is None:
        raise ValueError(f"run {run.run_id} has not ended")
    return run.ended_at


def failed_attempts(runs: Sequence[Run], verdict: Verdict, now: datetime) -> list[Run]:
    """The unbroken row of latest attempts that left a unit wrong, newest first.

    A run that failed or was cancelled is one, whoever launched it. A run that succeeded is one if it was launched to
    repair the unit and the unit is wrong all the same; not if the source has changed since. Attempts longer ago than
    the longest back-off are another story.
    """
    failed: list[Run] = []
    newer = now
    for run in reversed(runs):
        if run.ended_at is None or newer - run.ended_at > LONGEST_BACKOFF + ONE_DAY:
            break
        if run.state is RunState.SUCCEEDED and not (run.is_automatic and verdict.blames_the_build):
            break
        failed.append(run)
        newer = run.ended_at
    return failed


def backoff(failures: int) -> timedelta:
    """How long to wait after so many failed attempts in a row; doubles each time, up to `LONGEST_BACKOFF`."""
    doublings = min(failures - 1, 10)  # 1024 × 6 h is beyond the longest; more would overflow
    return min(FIRST_BACKOFF * (1 << doublings), LONGEST_BACKOFF)
