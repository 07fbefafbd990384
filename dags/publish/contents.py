"""Reads what a source, a table, a backup or a staging of it holds of a day, by team: how much, or a hash of all of it.

Of a staging every row is read, to find those that lie outside the day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.domain.batched import batched
from dags.domain.units import MAX_TEAMS_BOUND, Fingerprint, Measure
from dags.publish.comparison import Column, Comparison, Content, comparison
from dags.publish.path import TeamRows
from dags.publish.staging import STAGING_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.domain.watched import Source, WatchedTable

_PACKAGE = "dags.publish"

# So many teams are few: of them alone the distinct are counted. Of 1,000 teams one took a quarter of the CPU that all
# took, and 100 of them three fifths (measured).
_FEW_TEAMS = 100


def read_units(
    sql: Sql, declared: WatchedTable, name: str, day: date, built: Collection[int] | None = None
) -> dict[int, TeamRows[Measure]]:
    """What a table, a backup or a staging of it holds of a day, by team. Of a staging all rows are read, to find
    strays.

    ``built``: the teams that are built, None where each is looked at. Where these are few, 0 is the number of distinct
    of all others, whose rows stay as they are: counting theirs would cost more than the build of one team.
    """
    bound: dict[str, object] = _of_day(name, day)
    statement = "target_units"
    if built is not None and len(built) <= _FEW_TEAMS:
        statement, bound = "target_units_of_some", {**bound, "teams": sorted(built)}
    identifiers = {
        "team": declared.team_column,
        "day": declared.day,
        "distinct": declared.distinct,
        "total": declared.total,
    }
    return {
        team: TeamRows(Measure(distinct, total), rows, strays)
        for team, rows, distinct, total, strays in Sql.of(sql, _PACKAGE).rows(
            statement, bound, target=name, **identifiers
        )
    }


def contents(sql: Sql, declared: WatchedTable, name: str, day: date, by: Comparison) -> Mapping[int, TeamRows[Content]]:
    """What a table, a backup or a staging of it holds of a day, by team."""
    rows = sql.rows("contents", _of_day(name, day), key=by.key, compared=by.compared, **_identifiers(declared, name))
    return {team: TeamRows(Content(keys, found), rows, strays) for team, rows, keys, found, strays in rows}


def contents_of_teams(
    sql: Sql, declared: WatchedTable, name: str, day: date, *, by: Comparison, teams: Collection[int]
) -> dict[int, Content]:
    """The same of some teams alone, and of no row outside the day."""
    bound = {"day": day, "teams": sorted(teams)}
    rows = Sql.of(sql, _PACKAGE).rows(
        "contents_of_teams", bound, key=by.key, compared=by.compared, **_identifiers(declared, name)
    )
    return {team: Content(keys, found) for team, keys, found in rows}


def contents_of_rows(sql: Sql, declared: WatchedTable, name: str, day: date, by: Comparison) -> dict[int, Content]:
    """The same, a fifth of the work, by row and not by key: equal to it where each key has one row, and only there."""
    rows = sql.rows("contents_of_rows", _of_day(name, day), compared=by.of_row, **_identifiers(declared, name))
    return {team: Content(keys, found) for team, keys, found in rows}


def read_source(sql: Sql, source: Source, day: date, teams: Sequence[int]) -> dict[int, Fingerprint]:
    """What a source holds of a day and of those that bear on it, of the teams that have any of it."""
    identifiers = {
        "source": source.table,
        "team": source.team_column,
        "day": source.day,
        "expected": source.expected,
        "newest": source.newest,
    }
    found: dict[int, Fingerprint] = {}
    for some in batched(teams, MAX_TEAMS_BOUND):
        bound = {"day": day, "reach": source.reach_days, "teams": some}
        rows = Sql.of(sql, _PACKAGE).rows("activity", bound, **identifiers)
        found |= {team: Fingerprint(*counts) for team, *counts in rows}
    return found


def _of_day(name: str, day: date) -> dict[str, object]:
    return {"day": day, "day_only": int(not name.startswith(STAGING_PREFIX))}


def _identifiers(declared: WatchedTable, name: str) -> dict[str, str]:
    return {"target": name, "team": declared.team_column, "day": declared.day}


def read_comparison(client: Client, table: str, backup: str) -> Comparison:
    """How a table and its backup are compared, by the columns that they have now.

    Raises:
        BuildError: as `comparison`.
    """
    return comparison(table, read_columns(client, table), backup, read_columns(client, backup))


def read_columns(client: Client, table: str) -> list[Column]:
    rows = Sql(_PACKAGE, client).rows("columns", {"table": table})
    return [Column(name, kind, bool(is_key)) for name, kind, is_key in rows]


def target_of(table: WatchedTable) -> dict[str, str]:
    """What a statement about a table's units is filled in with."""
    return {"table": table.name, "day": table.day, "team": table.team_column, "counted": table.total}
