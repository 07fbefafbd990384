"""In which order wrong days are repaired when not all of them can be at once.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from dags.web_preaggregated_backfill.rules import Verdict


class Priority(StrEnum):
    """Which days come first. In the last two, a team that has had its turn waits until the others have had theirs."""

    RECENT = "recent"
    VOLUME = "volume"
    INTERIOR = "interior"


def in_order(
    todo: Mapping[date, Sequence[Verdict]], priority: Priority, weight_by_team: Mapping[int, int]
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
    teams = {day: {verdict.unit.team_id for verdict in todo[day]} for day in todo}
    turns: Counter[int] = Counter()
    order: list[date] = []
    left = list(newest_first)
    while left:
        chosen = min(left, key=lambda day: (min(turns[team] for team in teams[day]), *(-one for one in worth[day])))
        left.remove(chosen)
        order.append(chosen)
        turns.update(teams[chosen])
    return tuple(order)


def _worth(verdicts: Sequence[Verdict], priority: Priority, weight_by_team: Mapping[int, int]) -> tuple[int, int]:
    volume = sum(
        abs(verdict.source.total - verdict.target.total) * weight_by_team.get(verdict.unit.team_id, 1)
        for verdict in verdicts
    )
    interior = sum(verdict.is_interior for verdict in verdicts)
    return (interior if priority is Priority.INTERIOR else 0), volume
