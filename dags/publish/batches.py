"""What a build of a day does, decided from facts: in which batches, and whose rows may be replaced.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.units import MAX_TEAMS_BOUND, Measure, Outcome, shrinks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from dags.clickhouse.sql import Cost
    from dags.settings import Settings


@dataclass(frozen=True)
class Limits:
    """What a build may use; all but the first two are unlimited where they are None.

    ``batch_events`` go through memory at once. ``max_seconds`` and ``max_memory_bytes`` are each statement's,
    ``max_rows_read`` and ``max_bytes_read`` the whole build's.
    """

    batch_events: int
    max_memory_bytes: int
    max_threads: int | None = None
    max_seconds: int | None = None
    max_rows_read: int | None = None
    max_bytes_read: int | None = None

    def settings(self) -> dict[str, int]:
        """What ClickHouse has to keep to while it builds."""
        spill_at = self.max_memory_bytes // 2
        chosen = {
            "max_memory_usage": self.max_memory_bytes,
            "max_bytes_before_external_group_by": spill_at,
            "max_bytes_before_external_sort": spill_at,
            "max_bytes_before_external_join": spill_at,
            "max_threads": self.max_threads,
            "max_execution_time": self.max_seconds,
            # What is inserted was grouped a moment ago; merging it once more costs a third of the build.
            "optimize_on_insert": 0,
        }
        return {name: value for name, value in chosen.items() if value is not None}


def left_to_read(limits: Limits, cost: Cost, events_read: int) -> tuple[float, float]:
    """How many rows and bytes the build may still read; infinite where there is no limit.

    The embedded engine does not tell what it read; there the events that went into the build stand for it.
    """
    rows = cost.rows_read if cost.rows_read is not None else events_read
    return (
        math.inf if limits.max_rows_read is None else limits.max_rows_read - rows,
        math.inf if limits.max_bytes_read is None else limits.max_bytes_read - (cost.bytes_read or 0),
    )


def build_limits(settings: Settings) -> Limits:
    """What the settings allow a build to use."""
    return Limits(
        settings.build_batch_events,
        settings.build_max_memory_bytes,
        settings.build_max_threads,
        settings.build_max_seconds,
        settings.build_max_rows_read,
        settings.build_max_bytes_read,
    )


@dataclass(frozen=True)
class Batch:
    """Teams whose day is computed at once, into the tables that need them."""

    tables: tuple[str, ...]
    teams: tuple[int, ...]

    def without(self, table: str) -> tuple[Batch, Batch]:
        """The same teams in all other tables, and in this one alone."""
        others = tuple(one for one in self.tables if one != table)
        return Batch(others, self.teams), Batch((table,), self.teams)

    def halves(self) -> tuple[Batch, Batch]:
        middle = len(self.teams) // 2
        return Batch(self.tables, self.teams[:middle]), Batch(self.tables, self.teams[middle:])


def batches(
    teams_by_table: Mapping[str, Collection[int]], events_by_team: Mapping[int, int], limit: int
) -> tuple[Batch, ...]:
    """Teams in the order of their ids, cut so that a batch stays within ``limit`` events.

    Memory then follows the batch and not the day, and neighbouring ids lie side by side in ``events``. A team that is
    larger than the limit is a batch of its own, which spills to disk. No batch has more than `MAX_TEAMS_BOUND` teams,
    and teams that more tables need are computed once for all of them. Teams without an event are in none.
    """
    tables_by_team: dict[int, tuple[str, ...]] = {}
    for table in sorted(teams_by_table):
        for team in teams_by_table[table]:
            tables_by_team[team] = (*tables_by_team.get(team, ()), table)
    grouped: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for team, tables in tables_by_team.items():
        if team in events_by_team:
            grouped[tables].append(team)
    return tuple(
        Batch(tables, part) for tables, teams in sorted(grouped.items()) for part in _cut(teams, events_by_team, limit)
    )


def _cut(teams: Iterable[int], events_by_team: Mapping[int, int], limit: int) -> Sequence[tuple[int, ...]]:
    cut: list[tuple[int, ...]] = []
    current: list[int] = []
    events = 0
    for team in sorted(teams):
        if current and (events + events_by_team[team] > limit or len(current) == MAX_TEAMS_BOUND):
            cut.append(tuple(current))
            current, events = [], 0
        current.append(team)
        events += events_by_team[team]
    if current:
        cut.append(tuple(current))
    return cut


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
    held: Collection[int] = (),
) -> Replacement:
    """Decide for each team from what its table holds and what was staged.

    ``teams`` are those that were computed. All others keep their rows whatever happens: they are not enabled, not
    asked for, or could not be built; so do those that are ``held`` already. Among ``teams`` only those with something
    to say get an outcome; a team that was and is empty has none.
    """
    asked = frozenset(teams)
    empty = Measure()
    kept_back = frozenset(
        team
        for team in asked
        if team in held or (not allow_shrink and shrinks(before.get(team, empty), after.get(team, empty)))
    )
    outcomes = {team: Outcome.BUILT if after.get(team) else Outcome.EMPTY for team in asked & {*before, *after}}
    outcomes |= dict.fromkeys(kept_back, Outcome.HELD)
    return Replacement(frozenset(before) - asked | kept_back, kept_back, outcomes)
