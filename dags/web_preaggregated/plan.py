"""What a build of a day does, decided from facts: in which batches, and whose rows may be replaced.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.units import MAX_TEAMS_BOUND, Measure, Outcome, shrinks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


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
