"""What a build of a day does, decided from facts: in which batches, and whose rows may be replaced.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Team ids are bound as one value, and a server takes 128 KiB of one (about 14,500 ids of seven digits, tried).
MAX_TEAMS_BOUND = 5_000

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Measure:
    """What a unit holds, in its table or in its source. Sessions are counted by ``uniq`` on both sides."""

    sessions: int = 0
    pageviews: int = 0

    def __bool__(self) -> bool:
        return self.sessions > 0 or self.pageviews > 0

    def __str__(self) -> str:
        return f"{self.sessions:,} sessions, {self.pageviews:,} page views"


@dataclass(frozen=True)
class Fingerprint:
    """Activity of a day and its neighbours; equal numbers mean that nothing has arrived in between."""

    events: int = 0
    qualifying: int = 0
    newest: datetime = EPOCH


class Outcome(StrEnum):
    """What a build, or a detection that verified a unit, left in the ledger."""

    BUILT = "built"
    EMPTY = "empty"
    HELD = "held"
    FAILED = "failed"
    VERIFIED = "verified"


def shrinks(before: Measure, after: Measure) -> bool:
    """Whether a rebuild would take away half of a unit's sessions or more.

    That is what an expired or half-loaded source looks like, and history must not be erased for it; a person who
    knows better allows it.
    """
    return before.sessions > 0 and after.sessions * 2 <= before.sessions


def batches(events_by_team: Mapping[int, int], limit: int) -> tuple[tuple[int, ...], ...]:
    """Teams in the order of their ids, cut so that a batch stays within ``limit`` events.

    Memory then follows the batch and not the day, and neighbouring ids lie side by side in ``events``. A team that is
    larger than the limit is a batch of its own, which spills to disk. No batch has more than `MAX_TEAMS_BOUND` teams.
    """
    cut: list[tuple[int, ...]] = []
    current: list[int] = []
    held = 0
    for team in sorted(events_by_team):
        if current and (held + events_by_team[team] > limit or len(current) == MAX_TEAMS_BOUND):
            cut.append(tuple(current))
            current, held = [], 0
        current.append(team)
        held += events_by_team[team]
    if current:
        cut.append(tuple(current))
    return tuple(cut)


@dataclass(frozen=True)
class Replacement:
    """Whose rows of a day are replaced in one table, whose stay, and with what outcome."""

    kept: frozenset[int]
    held: frozenset[int]
    outcome_by_team: Mapping[int, Outcome]


def replacement(
    teams: Iterable[int],
    before: Mapping[int, Measure],
    after: Mapping[int, Measure],
    *,
    allow_shrink: bool,
) -> Replacement:
    """Decide for each team from what its table holds and what was staged.

    Teams outside ``teams`` keep their rows whatever happens: they are not enabled, or not asked for. Among ``teams``
    only those with something to say get an outcome; a team that was and is empty has none.
    """
    asked = frozenset(teams)
    empty = Measure()
    held = frozenset(
        team for team in asked if not allow_shrink and shrinks(before.get(team, empty), after.get(team, empty))
    )
    outcomes = {team: Outcome.BUILT if after.get(team) else Outcome.EMPTY for team in asked & {*before, *after}}
    outcomes |= dict.fromkeys(held, Outcome.HELD)
    return Replacement(frozenset(before) - asked | held, held, outcomes)
