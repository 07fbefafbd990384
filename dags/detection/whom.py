"""Says of which teams, tables and days units are, and never more than is so: no team beside a day that it is not of.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from dags.domain.briefly import NAMED, days_in_words, listed, teams_in_words
from dags.domain.shards import shards_in_words
from dags.domain.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from dags.detection.verdicts import Alike

_Days = frozenset["date"]
_DaysByTables = tuple[tuple[tuple[str, ...], _Days], ...]
_Place = tuple[int, _DaysByTables]


def whom_in_words(groups: Iterable[Alike]) -> str:
    """Teams with the same tables and days together, those with the most units first; more than `NAMED` are counted,
    and where these are the most by far, all of them in one. Where there are several shards each is named.

    ``teams 7, 8, bounces and stats, 2026-01-16 … 2026-01-18``; where teams differ, and their tables do not,
    ``stats: team 1, 2026-01-15; team 3, 2026-01-14``; ``shard 2, team 7, stats, 2026-01-16``.
    """
    teams_by_place: dict[_Place, list[int]] = defaultdict(list)
    for (shard, team), days_by_table in _by_team(groups).items():
        teams_by_place[shard, _alike(days_by_table)].append(team)
    alike = sorted(teams_by_place.items(), key=lambda one: (-len(one[1]) * _units(one[0][1]), one[1], one[0][0]))
    if 2 * sum(len(teams) for _, teams in alike[:NAMED]) < sum(len(teams) for _, teams in alike):
        # To name a few of very many, each with days of its own, would say little of them.
        names = sorted({name for (_, one), _ in alike for names, _ in one for name in names})
        days = sorted({day for (_, one), _ in alike for _, some in one for day in some})
        teams = counted(sum(len(some) for _, some in alike), "team")
        return f"{_on(alike)}{teams}, {listed(names)}, {_span(days)}, each on some of them"
    tables = {names for (_, one), _ in alike for names, _ in one}
    common = len(alike) > 1 and len(tables) == 1
    parts = [
        f"{_on([one])}{teams_in_words(teams)}, "
        + ", ".join(_place(names, days, is_said=common) for names, days in days_by_tables)
        for one in alike[:NAMED]
        for (_, days_by_tables), teams in [one]
    ]
    if left := alike[NAMED:]:
        more = sorted({day for (_, one), _ in left for _, days in one for day in days})
        parts.append(f"{_on(left)}{counted(sum(len(teams) for _, teams in left), 'more team')}, {_span(more)}")
    return (f"{listed(next(iter(tables)))}: " if common else "") + "; ".join(parts)


def _on(alike: Iterable[tuple[_Place, object]]) -> str:
    """The shards of some of them, to be said before what lies there; empty where there is one."""
    words = shards_in_words(shard for (shard, _), _ in alike)
    return f"{words}, " if words else ""


def _place(tables: tuple[str, ...], days: _Days, *, is_said: bool) -> str:
    return days_in_words(days) if is_said else f"{listed(tables)}, {days_in_words(days)}"


def _by_team(groups: Iterable[Alike]) -> Mapping[tuple[int, int], Mapping[str, set[date]]]:
    """By shard and team."""
    found: dict[tuple[int, int], dict[str, set[date]]] = defaultdict(lambda: defaultdict(set))
    for one in groups:
        for team in one.teams:
            found[one.shard, team][one.table].add(one.day)
    return found


def _alike(days_by_table: Mapping[str, set[date]]) -> _DaysByTables:
    """The tables of equal days together."""
    tables: dict[_Days, list[str]] = defaultdict(list)
    for table, days in sorted(days_by_table.items()):
        tables[frozenset(days)].append(table)
    return tuple((tuple(names), days) for days, names in tables.items())


def _units(days_by_tables: _DaysByTables) -> int:
    return sum(len(names) * len(days) for names, days in days_by_tables)


def _span(days: list[date]) -> str:
    """Days of which not every team is: how many, and between which."""
    return f"{days[0]}" if len(days) == 1 else f"{len(days):,} days of {days[0]} … {days[-1]}"
