"""Reads what tables are, and whether all of their rows are seen; says which of the watched may not be used, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.replicas.store import place_of
from dags.clickhouse.rights import LacksRightError
from dags.clickhouse.schema.declared import added_parts, declared_columns
from dags.clickhouse.sql import Sql
from dags.clickhouse.targets.facts import Column, Facts, is_stored_in_parts
from dags.clickhouse.targets.passing_on import PassingOn, writers
from dags.clickhouse.targets.rules import hidden_by, notes, remade, unpublishable, unreadable
from dags.clickhouse.targets.tree import read_by
from dags.domain.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.replicas.place import Place
    from dags.domain.watched import WatchedTable

_PACKAGE = "dags.clickhouse.targets"


def describe(client: Client, names: Iterable[str]) -> dict[str, Facts]:
    """What ClickHouse knows of these tables, by name; those that do not exist are left out."""
    sql = Sql(_PACKAGE, client)
    rows = sorted(sql.rows("tables", {"tables": sorted(set(names))}))
    of: dict[str, list[tuple[str, Any]]] = {}
    for what, name, _, words in rows:
        of.setdefault(what, []).append((name, words))
    passing_on = [PassingOn(database, name, *words) for name, (database, *words) in of.get("passing on", [])]
    columns: dict[str, dict[str, Column]] = {}
    for name, (column, *described) in of.get("column", []):
        columns.setdefault(name, {})[column] = Column(*described)
    found = [
        _facts(name, words, columns.get(name, {}), writers(f"{client.database}.{name}", passing_on))
        for name, words in of.get("table", [])
    ]
    hides = _hidden_rows(sql, {facts.name: facts.engine for facts in found if facts.engine != "Dictionary"})
    place = place_of(client)
    hosts = 1 if place is None else len(place.dsn.replicas)
    replicated = [facts.name for facts in found if facts.engine.startswith("Replicated")]
    replicas = _replicas(sql, replicated)
    elsewhere = _elsewhere(place, {table: path for table, (count, path) in replicas.items() if count < hosts})
    described = {
        facts.name: replace(
            facts,
            hides=hides.get(facts.name, ""),
            replicas=replicas[facts.name][0] if facts.name in replicas else 0,
            hosts=hosts,
            without=tuple(host for host, paths in elsewhere.items() if paths.get(facts.name) == ""),
            apart=tuple(host for host, paths in elsewhere.items() if paths.get(facts.name)),
            is_in_cluster=place is not None,
        )
        for facts in found
    }
    if place is None:
        return described
    return described | {
        name: _with_what_it_shows(client, sql, facts)
        for name, facts in described.items()
        if not is_stored_in_parts(facts)
    }


def _replicas(sql: Sql, tables: Sequence[str]) -> dict[str, tuple[int, str]]:
    """How many replicas some tables have, and their paths in Keeper, by table."""
    rows = sql.rows("replicas", {"tables": tables}) if tables else ()
    return {table: (count, path) for table, count, path in rows}


def _elsewhere(place: Place | None, paths: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """On which other path each other replica has some tables, by its address and by table; empty where it has none with
    replicas, or not even the database. Those that do not answer, and tables on the same path, are left out.
    """
    if place is None or not paths:
        return {}
    others, _ = place.others()
    found = {address: dict.fromkeys(paths, "") for address in place.bare}
    for other in others.values():
        there = _replicas(Sql(_PACKAGE, other), sorted(paths))
        on = {table: there[table][1] if table in there else "" for table in paths}
        if (at := place_of(other)) is not None:
            found[f"{at.own.host}:{at.own.port}"] = {table: path for table, path in on.items() if path != paths[table]}
    return found


def present(client: Client, names: Iterable[str]) -> frozenset[str]:
    """Those of these tables, views and dictionaries that there are."""
    return frozenset(name for (name,) in Sql(_PACKAGE, client).rows("present", {"tables": sorted(names)}))


def detached_of(client: Client, names: Iterable[str], facts: Mapping[str, Facts]) -> frozenset[str]:
    """Those of these tables that `describe` did not find and that are there, detached. Nobody is asked where none is
    missing; who may not ask hears of none.
    """
    missing = sorted(set(names) - facts.keys())
    if not missing:
        return frozenset()
    try:
        return frozenset(name for (name,) in Sql(_PACKAGE, client).rows("detached", {"tables": missing}))
    except LacksRightError:
        return frozenset()


def _with_what_it_shows(client: Client, sql: Sql, facts: Facts) -> Facts:
    """A table that holds no rows itself, with those below it whose rows it shows."""
    try:
        tree = [line for (line,) in sql.rows("reads", table=facts.name)]
    except ClickHouseError as error:
        if getattr(error, "name", None) is None:
            raise
        return replace(facts, shows_elsewhere=(f"ClickHouse does not say what: {str(error)[:300]}",))
    here, elsewhere = read_by(f"{client.database}.{facts.name}", tree)
    below = describe(client, here)
    return replace(facts, shows=tuple(below.values()), shows_elsewhere=(*elsewhere, *sorted(here - below.keys())))


def _hidden_rows(sql: Sql, engines: Mapping[str, str]) -> dict[str, str]:
    """Why rows of some of these tables may be hidden from this user, by table.

    Asked of all tables at once; each by itself only where something speaks of a filter, or cannot be planned.
    """
    try:
        if not hidden_by("", _plan(sql, *engines)):
            return {}
    except ClickHouseError:
        pass
    hides = {}
    for name, engine in engines.items():
        try:
            hides[name] = hidden_by(engine, _plan(sql, name))
        except ClickHouseError as error:
            if getattr(error, "name", None) is None:  # nobody answered: that says nothing of the table
                raise
            hides[name] = f"ClickHouse does not say how it would be read: {str(error)[:300]}"
    return hides


def _plan(sql: Sql, *tables: str) -> list[str]:
    """The lines of the plan of counting some tables; none for no tables."""
    counts = sql.union("rows", [{"table": table} for table in tables])
    return [line for (line,) in sql.rows("row_filters", counts=counts)] if tables else []


def _facts(name: str, words: Sequence[str], columns: Mapping[str, Column], written_by: tuple[str, ...]) -> Facts:
    engine, engine_full, definition, partition_key, sorting_key, uuid, time_zone, *read_by = words
    return Facts(
        name, engine, engine_full, definition, partition_key, sorting_key, uuid, columns,
        tuple(read_by), written_by, time_zone,
    )  # fmt: skip


def setting_for_all(client: Client, facts: Facts | None, name: str) -> str:
    """What the server has as a setting for all tables of this one's kind; for any that is none, of a plain one's."""
    is_replicated = facts is not None and facts.engine.startswith("Replicated")
    settings = "replicated_merge_tree_settings" if is_replicated else "merge_tree_settings"
    return str(Sql(_PACKAGE, client).row("setting_for_all", {"name": name}, settings=settings)[0])


def names_of(watched: Iterable[WatchedTable]) -> set[str]:
    """The tables that have to be described so that `usability` can tell of these."""
    tables = tuple(watched)
    return {table.name for table in tables} | {table.source.table for table in tables}


@dataclass(frozen=True)
class Usability:
    """Which tables may be used. ``unusable``: why some may not, in words, by table; ``notes``: what is no reason to.

    ``uuids`` tell each table from any other that is put in its place later.
    """

    unusable: Mapping[str, str]
    notes: tuple[str, ...]
    uuids: Mapping[str, str]


def usability(watched: Iterable[WatchedTable], facts: Mapping[str, Facts], detached: Collection[str] = ()) -> Usability:
    """Hold watched tables against what they are; ``detached``: those that are, see `detached_of`.

    A table that our builds swap days into must be publishable, any other readable; so must the source of either be.
    """
    unusable, noted = {}, list[str]()
    for table in watched:
        columns, source = declared_columns().get(table.name, {}), table.source.table
        own = facts.get(table.name)
        problems = (
            unpublishable(table.name, own, table.day, columns, detached)
            if table.swaps_days
            else unreadable(table.name, own, columns, detached)
        )
        problems += unreadable(source, facts.get(source), declared_columns().get(source, {}), detached)
        if problems:
            unusable[table.name] = "; ".join(problems)
        elif own is not None and table.swaps_days:
            noted += notes(own)
    noted += [note for name, own in sorted(facts.items()) for note in remade(own, added_parts().get(name, ()))]
    return Usability(unusable, tuple(noted), {name: own.uuid for name, own in facts.items()})


def read_usability(client: Client, watched: Sequence[WatchedTable]) -> Usability:
    """Which of these tables may be used as they are now."""
    names = names_of(watched)
    facts = describe(client, names)
    return usability(watched, facts, detached_of(client, names, facts))


def require_usable(client: Client, table: WatchedTable) -> str:
    """Refuse to touch a table that a swap of days would not be right for; its uuid if it is.

    Raises:
        BuildError: why, and what to do. Nothing was touched.
    """
    found = read_usability(client, [table])
    if why := found.unusable.get(table.name):
        raise BuildError(f"nothing was touched: {why}")
    return found.uuids[table.name]
