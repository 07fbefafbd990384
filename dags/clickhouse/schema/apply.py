"""Brings a database to this code's schema, and refuses to work on one that is not there.

The files of this package are applied in the order of their numbers, each once; every one of them is also harmless on
tables that exist already, so that a database whose version record was lost is brought back by applying again.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from clickhouse_connect.driver.exceptions import DatabaseError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from dags.clickhouse.failures import Remedy, remedy
from dags.clickhouse.leases.keeper import LEASES
from dags.clickhouse.replicas.rules import leases_shard, replicated, unusable
from dags.clickhouse.replicas.store import BOOK, place_of, synced
from dags.clickhouse.rights import naming_what_lacks
from dags.clickhouse.schema.books import append
from dags.clickhouse.schema.declared import (
    ALTERED,
    BOOKS,
    DICTIONARY,
    PACKAGE,
    added_columns,
    declared_columns,
    giving_only,
    migrations,
    settings_given,
    views,
)
from dags.clickhouse.sql import Sql
from dags.clickhouse.targets.facts import NEXT_STEP, absent, is_stored_in_parts
from dags.clickhouse.targets.rules import parts_lacking, unpublishable, unreadable, unusable_database
from dags.clickhouse.targets.store import describe, detached_of, names_of, present, usability
from dags.domain.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.replicas.place import Place
    from dags.clickhouse.schema.declared import Migration
    from dags.clickhouse.targets.facts import Facts
    from dags.clickhouse.targets.store import Usability
    from dags.domain.watched import WatchedTable


# A change of columns is milliseconds; a replica that has not taken one in for so long is not about to.
ALTERING_SECONDS = 60


def _raised(told: str) -> NoReturn:
    raise SchemaError(told)


def apply_schema(
    client: Client, watched: Sequence[WatchedTable], warn: Callable[[str], None] = _raised
) -> tuple[Migration, ...]:
    """Apply what this database lacks; answers with what was applied. ``watched``: the tables among these that are.

    That is every file newer than the version recorded, and those whose table is gone or lacks what they gave it. What
    a table cannot be given for a reason of its own, and all of this code does without, keeps nothing else from being
    applied: ``warn`` is told of it.

    Where there are replicas, on each of them, one file after the other: a replica that is new is given the tables that
    the others have first. Two processes may do so at once: every statement is idempotent, one that comes while a
    replica takes in the other's is sent again, and a version recorded twice is still that version.

    Raises:
        SchemaError: the database is newer than this code, a table that was there lacks columns, or is none that days
            can be swapped into; or a replica does not answer. Without a ``warn`` of one's own, once all else is done,
            also for what it would have been told.
    """
    hosts, problems, database = _hosts(client), list[str](), str(client.database)
    facts: dict[str, Mapping[str, Facts]] = {}
    versions: dict[str, int | None] = {}
    gone: dict[str, frozenset[str]] = {}
    for name, host in hosts.items():
        engine, version = _read_schema(host)
        versions[name] = version
        if version is not None and version > migrations()[-1].version:
            raise SchemaError(_too_new(version, database))
        # Before anything is changed: a file that needs a column which is not there would fail half-way, in ClickHouse's
        # own words, and a table that is not what we think would be taken for one that is.
        facts[name] = describe(host, {*declared_columns(), DICTIONARY})
        gone[name] = views() - present(host, views())
        found = unusable_database(engine) + _present_problems(facts[name], watched)
        found += _detached_problems(host, version, facts[name], gone[name])
        problems += [f"on the replica {name}: {one}" if name else one for one in found]
    _refuse(client, problems)
    due_on = {m: [n for n in hosts if _is_due(m, versions[n], facts[n], gone[n])] for m in migrations()}
    pending = {migration: due for migration, due in due_on.items() if due}
    if place := place_of(client):
        _prepare(place, hosts, facts)
    applied, refused = [], list[str]()
    try:
        for migration, due in pending.items():
            for name in due:
                refused += _given(hosts[name], name, migration, versions[name], facts[name])
            if any(_is_newer(migration, versions[name]) for name in due):
                applied.append([migration.version, migration.name])
    finally:
        # Together: a version that was applied and not recorded is applied once more, and changes nothing.
        if applied:
            append(client, BOOK, applied, ["version", "name"])
    for host in hosts.values():
        _refuse(client, unusable(synced(host)))
    _refuse(client, [one for host in hosts.values() for one in require_schema(host, watched).unusable.values()])
    for one in refused:
        warn(one)
    return tuple(pending)


def _given(
    host: Client, name: str, migration: Migration, version: int | None, facts: Mapping[str, Facts]
) -> Iterator[str]:
    """Apply a file on a server; why not, where its table has a reason of its own and all do without what it gives."""
    sql = _applying(host, _settings_lacking(migration, version, facts))
    try:
        _while_another_alters()(sql.command, migration.name, database=str(host.database))
    except DatabaseError as error:
        if not migration.is_optional or remedy(error) is not Remedy.ISOLATE:
            raise
        of = f" on the replica {name}" * bool(name)
        yield f"{migration.table} was not given {', '.join(migration.parts)}{of}: {error}"


def _hosts(client: Client) -> dict[str, Client]:
    """The servers that must have the tables, by name.

    Raises:
        SchemaError: one does not answer.
    """
    place = place_of(client)
    if place is None:
        return {"": client}
    others, silent = place.others()
    if silent:
        why = "; ".join(f"{address}: {words[:500]}" for address, words in silent.items())
        raise SchemaError(
            f"nothing was changed, for every replica must have the tables, and {len(silent)} of them does not answer: "
            f"{why}. Start it, or take it out of CLICKHOUSE_DSN and of the cluster {place.dsn.cluster!r}"
        )
    return {place.name: client, **others}


def _applying(host: Client, settings: Sequence[str]) -> Sql:
    """Statements of the numbered files as this server is sent them; ``settings`` are those that a table is given."""
    if place_of(host) is None:
        return Sql(PACKAGE, host, as_sent=lambda text: giving_only(text, settings))
    # A column is there on all replicas before the next one is told of it.
    synced = {"alter_sync": 2, "mutations_sync": 2}
    return Sql(PACKAGE, host, synced, as_sent=lambda text: replicated(giving_only(text, settings), str(host.database)))


def _while_another_alters() -> Retrying:
    """Calls a change of columns again that a replica refuses because it has not taken in yet what another process has
    changed there: it takes that in by itself, or lags, which is what its refusal says in the end.
    """
    return Retrying(
        retry=retry_if_exception(lambda error: getattr(error, "name", None) == "CANNOT_ASSIGN_ALTER"),
        stop=stop_after_delay(ALTERING_SECONDS),
        wait=wait_random_exponential(0.05, max=1.0),
        reraise=True,
    )


def _prepare(place: Place, hosts: Mapping[str, Client], facts: Mapping[str, Mapping[str, Facts]]) -> None:
    """Give replicas what the numbered files do not: leases of them all, and tables as another replica has them."""
    database, shard = place.dsn.database, leases_shard(place.macros)
    for host in hosts.values():
        Sql("dags.clickhouse.leases", host).command("keeper_create", leases=LEASES, database=database, shard=shard)
    _clone(hosts, facts)


def _clone(hosts: Mapping[str, Client], facts: Mapping[str, Mapping[str, Facts]]) -> None:
    """Make the replicated tables that another replica has already as they are there: the numbered files would make
    them as they once were, which is refused.
    """
    for name, host in hosts.items():
        for other in facts.values():
            for table in other.keys() - facts[name].keys():
                if other[table].engine.startswith("Replicated"):
                    made = re.sub(r"^CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ", other[table].definition)
                    with naming_what_lacks():
                        host.command(made)


def _detached_problems(
    host: Client, version: int | None, facts: Mapping[str, Facts], gone: Collection[str]
) -> list[str]:
    """What is detached of that which files would make, or alter: a view too, which is asked for where it would be."""
    due = {one.table for one in migrations() if _is_due(one, version, facts, gone)}
    return _absent(sorted(detached_of(host, due | ({LEASES} if place_of(host) else set()), facts)))


def _absent(detached: Sequence[str]) -> list[str]:
    return [absent(name, detached, "dictionary" if name == DICTIONARY else "table") for name in detached]


def _is_due(migration: Migration, version: int | None, facts: Mapping[str, Facts], gone: Collection[str]) -> bool:
    """Whether a file has something to do where that version is recorded; ``gone``: the views that there are not."""
    own = facts.get(migration.table)
    if own is not None and _is_for_others(migration, own):
        return False
    if settings_given(migration.text) and not _settings_lacking(migration, version, facts):
        return False
    return _is_newer(migration, version) or _is_lacking(migration, own, gone)


def _is_newer(migration: Migration, version: int | None) -> bool:
    return version is None or migration.version > version


def _is_lacking(migration: Migration, own: Facts | None, gone: Collection[str]) -> bool:
    """Whether what a file has made or given is not there. Of a view it is looked no further: it shows what is there, by
    one of its files after the other, for these stand in the order in which views read one another.
    """
    if own is None:
        return migration.table in {*declared_columns(), DICTIONARY, *gone}
    return bool(migration.columns - own.columns.keys() or parts_lacking(own, migration.parts))


def require_schema(client: Client, watched: Sequence[WatchedTable] = ()) -> Usability:
    """Refuse to work on tables that are not this code's; answers which of the watched ones may not be used, and why.

    What is needed for everything (the ledger, the audit, the list of teams) must be there. Watched tables and their
    sources are judged one by one, so that one that is broken keeps nobody from working on the others.

    Raises:
        SchemaError: no schema yet, an older or a newer one, or a table that is needed for everything is not usable.
    """
    database = str(client.database)
    (engine, version), newest = _read_schema(client), migrations()[-1].version
    if version is None:
        _refuse(client, _absent(sorted(detached_of(client, [BOOK], {}))))
        raise SchemaError(f"the database {database!r} has no schema yet: {NEXT_STEP}")
    if version < newest:
        raise SchemaError(
            f"the database {database!r} has schema version {version}, this code needs {newest}: {NEXT_STEP}"
        )
    if version > newest:
        raise SchemaError(_too_new(version, database))
    needed = {name: columns for name, columns in declared_columns().items() if name in BOOKS}
    names = {*needed, DICTIONARY} | names_of(watched)
    facts = describe(client, names)
    detached = detached_of(client, names, facts)
    problems = [
        problem for name, columns in needed.items() for problem in unreadable(name, facts.get(name), columns, detached)
    ]
    problems += _lease_problems(client)
    problems += [absent(DICTIONARY, detached, "dictionary")] * (DICTIONARY not in facts)
    _refuse(client, unusable_database(engine) + problems)
    return usability(watched, facts, detached)


def _lease_problems(client: Client) -> list[str]:
    """Why leases of all replicas cannot be kept, where there are several."""
    place = place_of(client)
    if place is None:
        return []
    described = describe(client, [LEASES])
    if detached := detached_of(client, [LEASES], described):
        return _absent([*detached])
    own = described.get(LEASES)
    path = f"'/web_analytics/{client.database}/{leases_shard(place.macros)}/leases'"
    if own is not None and own.engine == "KeeperMap" and path in own.engine_full:
        return []
    found = "does not exist" if own is None else f"is {own.engine_full}"
    return [f"the table {LEASES} {found}: expected KeeperMap({path}), where leases of all replicas are; {NEXT_STEP}"]


def recorded_version(client: Client) -> int | None:
    """The newest version recorded in the database; None when nothing was ever applied."""
    return _read_schema(client)[1]


def _read_schema(client: Client) -> tuple[str, int | None]:
    """What engine the database has, and the newest version recorded in it; None when nothing was ever applied."""
    sql = Sql("dags.clickhouse.targets", client)
    try:
        engine, count, version = sql.row("schema")
    except DatabaseError as error:
        if getattr(error, "name", None) != "UNKNOWN_TABLE":
            raise
        [(engine,)] = sql.rows("database")
        return str(engine), None
    return str(engine), int(version) if count else None


def _too_new(version: int, database: str) -> str:
    return (
        f"the database {database!r} has schema version {version}, this code knows {migrations()[-1].version}: "
        "deploy the code that made it, or a newer one"
    )


def _present_problems(facts: Mapping[str, Facts], watched: Sequence[WatchedTable]) -> list[str]:
    """What is wrong with the tables that are there; those that are not will be made."""
    problems = []
    days = {table.name: table.day for table in watched}
    for name, columns in declared_columns().items():
        if (own := facts.get(name)) is None:
            continue
        own = replace(own, replicas=0)  # on a new replica it is made yet
        if name in days:
            problems += unpublishable(name, own, days[name], columns)
        else:
            added = added_columns().get(name, {}) if is_stored_in_parts(own) else {}
            problems += unreadable(name, own, {c: type_ for c, type_ in columns.items() if c not in added})
    return problems


def _is_for_others(migration: Migration, own: Facts) -> bool:
    """Whether a file alters a source that only shows what other tables hold: a column or a projection is theirs."""
    return ALTERED.search(migration.text) is not None and not is_stored_in_parts(own)


def _settings_lacking(migration: Migration, version: int | None, facts: Mapping[str, Facts]) -> list[str]:
    """The settings that a file has to give its table. Once that version is recorded, another value of one is its
    owner's, who gave it since.
    """
    given, own = settings_given(migration.text), facts.get(migration.table)
    return given if version is None or own is None else parts_lacking(own, given)


def _refuse(client: Client, problems: list[str]) -> None:
    if problems:
        raise SchemaError(f"the database {client.database!r} is not usable: {'; '.join(problems)}")
