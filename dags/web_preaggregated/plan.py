"""What a build of a day does, decided from facts: in which batches, and whose rows may be replaced.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from dags.domain.errors import BuildError
from dags.domain.units import MAX_TEAMS_BOUND, Measure, Outcome, shrinks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date

    from dags.clickhouse.sql import Cost

_Amount = TypeVar("_Amount")


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


def teams_to_build(
    tables: Iterable[str],
    enabled: Collection[int],
    departed: Collection[int],
    team_ids: Iterable[int] = (),
    team_ids_by_table: Mapping[str, Iterable[int]] | None = None,
) -> dict[str, frozenset[int]]:
    """Whom to build in each table: those that are named for it, or else for every table, or else all that are enabled.

    A team that has left the list since it was named is left out, for its rows are nobody's business any more.

    Raises:
        BuildError: a table that is not built here, or a team that was never enabled; all of them are named.
    """
    tables, named, by_table = tuple(tables), frozenset(team_ids), dict(team_ids_by_table or {})
    problems = [
        f"team_ids_by_table names {table!r}, which this run does not build: it builds {', '.join(tables)}"
        for table in sorted(by_table.keys() - set(tables))
    ]
    asked = named.union(*by_table.values())
    if strangers := sorted(asked - frozenset(enabled) - frozenset(departed)):
        problems.append(
            f"teams {strangers[:10]} were never enabled ({len(strangers)} of the {len(asked)} named): enable them "
            "(WEB_ANALYTICS_TEAM_SOURCES) and materialize web_analytics_team_selection, or leave them out"
        )
    if problems:
        raise BuildError("; ".join(problems))
    everyone = frozenset(enabled)
    return {table: everyone & frozenset(by_table.get(table, named or everyone)) for table in tables}


def teams_of_plan(
    tables: Iterable[str], plan_id: str, day: date, frozen: Mapping[str, frozenset[int]], others: Iterable[object]
) -> Mapping[str, frozenset[int]]:
    """Whom a plan asked to build on a day, by table; ``others`` are the teams that are named besides.

    Raises:
        BuildError: the plan is not known, or not for one of the tables; or teams are named besides.
    """
    if any(others):
        raise BuildError(f"plan_id is {plan_id!r} and teams are named besides: give one of the two. Nothing was built")
    if absent := [table for table in tables if table not in frozen]:
        raise BuildError(
            f"which teams of {', '.join(absent)} plan {plan_id!r} asked for on {day} is not known: "
            "web_pre_aggregated_requests keeps that for 60 days. Nothing was built; what is still wrong the next "
            "detection asks for again, or name the teams (team_ids), or leave both out for all of them"
        )
    return {table: frozen[table] for table in tables}


def left_to_read(limits: Limits, cost: Cost, events_read: int) -> tuple[float, float]:
    """How many rows and bytes the build may still read; infinite where there is no limit.

    The embedded engine does not tell what it read; there the events that went into the build stand for it.
    """
    rows = cost.rows_read if cost.rows_read is not None else events_read
    return (
        math.inf if limits.max_rows_read is None else limits.max_rows_read - rows,
        math.inf if limits.max_bytes_read is None else limits.max_bytes_read - (cost.bytes_read or 0),
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
    held = 0
    for team in sorted(teams):
        if current and (held + events_by_team[team] > limit or len(current) == MAX_TEAMS_BOUND):
            cut.append(tuple(current))
            current, held = [], 0
        current.append(team)
        held += events_by_team[team]
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


def differences(
    found: Mapping[int, _Amount], expected: Mapping[int, _Amount]
) -> dict[int, tuple[_Amount | None, _Amount | None]]:
    """The teams of which a table holds something else than it should, with what it holds and what it should."""
    return {
        team: (found.get(team), expected.get(team))
        for team in sorted({*found, *expected})
        if found.get(team) != expected.get(team)
    }


@dataclass(frozen=True)
class Part:
    """A ClickHouse part: the numbers of the first and last block that went into it, and of the last ALTER on it."""

    first: int
    last: int
    version: int


@dataclass(frozen=True)
class Written:
    """How far a table's day was written: its parts, how many ALTERs of its rows are under way, and which table it is.

    Whatever anybody writes gets the table's next number, and what is merged keeps those that it had. So a day whose
    numbers have not risen was not written, though its page views may be equal by chance. ``ever``: the highest block
    and version of all parts that are remembered, also of those that are gone. ``names`` are these parts, ``active`` the
    ones that readers have.
    """

    parts: tuple[Part, ...] = ()
    alters: int = 0
    uuid: str = ""
    ever: tuple[int, int] = (0, 0)
    names: tuple[str, ...] = ()
    active: tuple[str, ...] = ()

    @property
    def block(self) -> int:
        return max((part.last for part in self.parts), default=0)

    @property
    def version(self) -> int:
        return max((part.version for part in self.parts), default=0)


def written_since(before: Written, now: Written) -> str:
    """What was written into a day since it was looked at, in words; empty if nothing was."""
    if now.uuid != before.uuid:
        return "another table was put in its place"
    if now.block > before.block:
        return "rows were inserted"
    if now.version > before.version:
        return "rows were altered"
    if now.alters:
        # What is swapped in would be younger than the ALTER, which would pass it by.
        return f"{now.alters} ALTERs of it are under way, see system.mutations; KILL MUTATION ends one that hangs"
    return ""


def has_lost_parts(before: Written, now: Written) -> bool:
    """Whether a part is gone, and in none that was merged from it and others."""
    return any(not any(one.first <= part.first and part.last <= one.last for one in now.parts) for part in before.parts)
