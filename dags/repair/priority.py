"""In which order wrong days are repaired when not all of them can be at once.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.domain.setting_values import Priority

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from datetime import date

    from dags.detection.verdicts import Alike


def in_order(
    todo: Mapping[date, Sequence[Alike]], priority: Priority, weight_by_team: Mapping[int, int]
) -> tuple[date, ...]:
    """The days, the first to repair first.

    Recent: the newest. Volume: the day on which most is missing, each team's occurrences times its weight (1 unless
    declared). Interior: the day with the most holes that lie between days with rows, since readers take these for
    zeros; then by volume.

    The latter two are fair: of the days that are left, those come first on which a team is wrong that has had the
    fewest turns so far. One tenant with a month of large gaps would otherwise have all places of every tick.
    """
    newest_first = tuple(sorted(todo, reverse=True))
    if priority is Priority.RECENT:
        return newest_first
    worth = {day: _worth(todo[day], priority, weight_by_team) for day in todo}
    teams = {day: frozenset(team for one in todo[day] for team in one.teams) for day in todo}
    # In place n those teams that have had more than n turns.
    served: list[set[int]] = []
    order: list[date] = []
    left = list(newest_first)
    while left:
        chosen = min(left, key=lambda day: (_fewest_turns(teams[day], served), *(-one for one in worth[day])))
        left.remove(chosen)
        order.append(chosen)
        more: AbstractSet[int] = teams[chosen]
        for level in served:
            before = more & level
            level.update(more)
            more = before
        if more:
            served.append(set(more))
    return tuple(order)


def _fewest_turns(teams: frozenset[int], served: Sequence[AbstractSet[int]]) -> int:
    """How many turns the team has had that had the fewest; sets, because days may have very many teams."""
    return next((turns for turns, level in enumerate(served) if not teams <= level), len(served))


def _worth(groups: Sequence[Alike], priority: Priority, weight_by_team: Mapping[int, int]) -> tuple[int, int]:
    volume = interior = 0
    for one in groups:
        columns = one.columns
        for team, source, target in zip(one.teams, columns.source_total, columns.target_total, strict=True):
            volume += abs(source - target) * weight_by_team.get(team, 1)
        interior += len(one) * one.is_interior
    return (interior if priority is Priority.INTERIOR else 0), volume
