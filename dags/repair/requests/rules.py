"""Whom a run is to build: the teams that its configuration names, or the plan that it names, or all that are enabled.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.domain.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import date


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
