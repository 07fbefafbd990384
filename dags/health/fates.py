"""What becomes of units that are wrong: repaired by themselves, not buildable, waiting for a person, or for others.

Pure: no clock, no database, no Dagster. It is of units, not of days: on one day a team may be repaired by itself while
another waits for a person's word.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import compress
from typing import TYPE_CHECKING

from dags.detection.whom import whom_in_words
from dags.domain.briefly import NAMED, listed
from dags.repair.attempts import backoff, ended, failed_attempts
from dags.repair.decision import Trigger, Why, above_floor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date, datetime

    from dags.detection.verdicts import Alike
    from dags.health.facts import Evaluated
    from dags.repair.attempts import Run

# So many attempts in a row have left a unit wrong: the next is a day away, and then twice as far each time. Chosen: one
# may meet a server that restarts, two a bad night.
STUCK_ATTEMPTS = 3


class Fate(StrEnum):
    """What becomes of units that are wrong.

    ``DISAGREES``: they are repaired as others are, and until then readers see two truths. ``FAILS``: `STUCK_ATTEMPTS`
    have left them wrong. ``HELD``: a person must allow the loss. ``WAITS``: too few are wrong to begin with. ``LEFT``:
    they are below the floor, or of teams that nobody reads.
    """

    REPAIRED = "repaired"
    DISAGREES = "disagrees"
    FAILS = "fails"
    HELD = "held"
    WAITS = "waits"
    LEFT = "left"


@dataclass
class Fated:
    """Units of one fate. ``again``: when the first of those that failed is tried again; ``failures``: the most of one
    unit, and ``run`` the last of these.
    """

    groups: list[Alike] = field(default_factory=list)
    failures: int = 0
    again: datetime | None = None
    run: Run | None = None

    def add(self, units: Alike, failed: list[Run]) -> None:
        self.groups.append(units)
        if failed:
            again = ended(failed[0]) + backoff(len(failed))
            if len(failed) >= self.failures:
                self.failures, self.run = len(failed), failed[0]
            self.again = again if self.again is None else min(self.again, again)

    @property
    def units(self) -> int:
        return sum(map(len, self.groups))

    @property
    def days(self) -> set[date]:
        return {one.day for one in self.groups}

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(sorted({one.table for one in self.groups}))

    def teams(self, day: date | None = None) -> set[int]:
        return {team for one in self.groups if day in (None, one.day) for team in one.teams}

    @property
    def places(self) -> set[tuple[str, date]]:
        """The tables' days that a rebuild of them is of."""
        return {(one.table, one.day) for one in self.groups}

    def in_words(self) -> str:
        """Whom it strikes: teams, tables, days."""
        return whom_in_words(self.groups)

    def why_in_words(self) -> str:
        """What is the matter with them, what most have first: ``rows lost``; ``never built 12 and rows lost 3``. Of
        more than `NAMED` the others are counted together.
        """
        counts: Counter[str] = Counter()
        for one in self.groups:
            counts[replace(one, is_held=False, is_inconsistent=False).reason] += len(one)
        if len(counts) == 1:
            return next(iter(counts))
        first = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:NAMED]
        others = counts.total() - sum(count for _, count in first)
        return listed([*(f"{reason} {count:,}" for reason, count in first), *[f"others {others:,}"] * bool(others)])

    def of(self, groups: Iterable[Alike]) -> Fated:
        """The same, of some of the units alone."""
        return replace(self, groups=list(groups))


def fates(seen: Evaluated, now: datetime) -> dict[Fate, Fated]:
    """The units that are wrong, by what becomes of them. ``now`` is the clock that Dagster's runs are stamped by."""
    runs_by_day: dict[date, list[Run]] = defaultdict(list)
    for run in seen.runs:
        if run.ended_at is not None:
            runs_by_day[run.day].append(run)
    waiting = _waiting(seen)
    found: dict[Fate, Fated] = defaultdict(Fated)
    for one in seen.detection.wrong.groups:
        of_it = (run for run in runs_by_day[one.day] if one.table in run.tables and run.is_of(one.shard))
        before = sorted(of_it, key=ended)
        for failed, units in _by_attempts(one, before, now):
            if units.awaits_permission:
                found[Fate.HELD].add(units, [])
                continue
            above = above_floor(units, seen.policy)
            if len(above) < len(units):
                places = set(above.teams)
                found[Fate.LEFT].add(units.where([team not in places for team in units.teams]), [])
            if len(above):
                fate = (
                    Fate.FAILS
                    if len(failed) >= STUCK_ATTEMPTS
                    else Fate.WAITS
                    if one.day in waiting
                    else Fate.DISAGREES
                    if one.is_inconsistent
                    else Fate.REPAIRED
                )
                found[fate].add(above, failed)
    return dict(found)


def _by_attempts(one: Alike, runs: list[Run], now: datetime) -> Iterator[tuple[list[Run], Alike]]:
    """Units that are judged alike, by the attempts that have left them wrong, the last one first."""
    if not runs:
        yield [], one
        return

    def covering(team: int) -> tuple[bool, ...]:
        return tuple(run.covers(one.table, team) for run in runs)

    for covers, units in one.split(covering).items():
        yield failed_attempts(list(compress(runs, covers)), one, now), units


def _waiting(seen: Evaluated) -> set[date]:
    """The days that no trigger begins with, for too few are wrong."""
    decision = seen.decisions[Trigger.SCHEDULE]
    asked = {request.day for request in decision.requests}
    return {one.day for one in decision.deferred if one.why is Why.BELOW_MINIMUM} - asked
