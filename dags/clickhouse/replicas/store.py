"""Asks replicas what they are, waits until one has what the others have, and finds out who is alive."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.replicas.place import PACKAGE, Place, macros_of, member
from dags.clickhouse.replicas.rules import (
    Awaited,
    Member,
    Standing,
    unfenced,
    unlike_declared,
    unnamed_shards,
    unusable,
)
from dags.clickhouse.server import AMONG_REPLICAS_SECONDS, ServerClient
from dags.clickhouse.sql import Sql
from dags.domain.briefly import NAMED
from dags.domain.errors import LeaseError, Outage, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn

# A table that every replica has, by which Keeper knows who is alive.
BOOK = "web_analytics_schema_version"

_log = logging.getLogger(__name__)

# How long one waits for a replica to fetch what others have, before it is told that it lags.
FETCH_SECONDS = 10.0
# Most that lag do so for less than this; the next looks are further and further apart.
FIRST_LOOK_SECONDS = 0.05

# A replica that died counts as alive until its session with Keeper ends, 30 s by ClickHouse's default.
SESSION_SECONDS = 45.0
POLL_SECONDS = 1.0

# A third of the silence after which a holder counts as dead: so far apart, four signs of life may yet be lost.
MOST_APART = timedelta(seconds=20)


def place_of(client: Client) -> Place | None:
    """Where a client is among replicas; None for one of a server that stands alone, and of the embedded engine."""
    return client.place if isinstance(client, ServerClient) else None


def shard_at(client: Client) -> tuple[int, int]:
    """The number of the shard that a client is of, and how many there are; zeros where there is one."""
    place = place_of(client)
    return (place.dsn.shard, place.dsn.shard_count) if place is not None else (0, 0)


def settle(client: ServerClient, dsn: Dsn, own: Dsn, ready: Callable[[Dsn], ServerClient]) -> bool:
    """Make sure that a server is a replica of what ``dsn`` declares, and has all that others have; note its place.

    Answers whether it has the schema's own table: one that is new has nothing yet.

    Raises:
        UnreadableError: why it is not, or has not; what it holds says nothing then.
    """
    with client.hurried(AMONG_REPLICAS_SECONDS):
        rows = member(client, dsn.cluster)
    macros = macros_of(rows)
    members = [Member(shard, name, bool(own_)) for what, name, _, shard, own_ in rows if what == "member"]
    clusters = {name for what, name, *_ in rows if what == "cluster"}
    place = (dsn.shard, dsn.shard_count)
    if problems := unlike_declared(dsn.cluster, len(dsn.replicas), members, macros, clusters, place=place):
        raise UnreadableError(f"ClickHouse at {own} is no replica as it was declared: {'; '.join(problems)}")
    stand = synced(client)
    if problems := unusable(stand):
        outage = Outage.KEEPER if any(one.is_alone for one in stand) else None
        raise UnreadableError(f"ClickHouse at {own} is not relied on: {'; '.join(problems)}", outage)
    unnamed = () if dsn.shard_count else unnamed_shards(dsn.cluster, members)
    client.place = Place(dsn, own, macros, ready, unnamed)
    return any(one.table == BOOK for one in stand)


def standings(client: Client, tables: Collection[str] | None = None) -> list[Standing]:
    """How each replicated table of the database, or of some, stands on this server; a new one counts as behind.

    The queue is read after the log: what is taken in between is in the queue then, and in neither the other way round.
    """
    sql = Sql(PACKAGE, client)
    rows = [row for row in sql.rows("standing") if tables is None or row[0] in tables]
    queues: dict[str, set[str]] = {}
    for table, entry in sql.rows("queued") if rows else ():
        queues.setdefault(table, set()).add(entry)
    found = list[Standing]()
    for table, is_cut_off, lag, why, taken, written, is_alone in rows:
        queued = frozenset(queues.get(table, ()))
        is_behind = taken < written or bool(queued)
        found.append(Standing(table, bool(is_cut_off), is_behind, lag, why, taken, written, queued, bool(is_alone)))
    return found


def synced(client: Client, tables: Collection[str] | None = None, seconds: float | None = None) -> Sequence[Standing]:
    """How the tables stand once this server has been given time to fetch what others had written by now.

    Whoever may write has the server do so, and be sure of it: a day is swapped in whole. That is a statement that
    ``readonly`` forbids, whatever the user's rights: whoever only asks waits by looking.
    """
    before = standings(client, tables)
    behind = [one for one in before if one.is_behind and not one.is_cut_off]
    if not behind:
        return before
    wait = _looked_for if _only_reads(client) else _fetched
    late = wait(client, behind, FETCH_SECONDS if seconds is None else seconds)
    # What was written since they began to wait is no reason to wait on.
    return [replace(one, is_behind=one.table in late) for one in standings(client, tables)]


def _only_reads(client: Client) -> bool:
    readonly = client.server_settings.get("readonly")
    return readonly is not None and readonly.value != "0"


def _fetched(client: Client, behind: Sequence[Standing], seconds: float) -> Collection[str]:
    """Have the server fetch what it lacks of some tables; those of which it has not in time."""
    until = time.monotonic() + seconds
    late = set[str]()
    for one in behind:
        left = max(1, round(until - time.monotonic()))
        try:
            Sql(PACKAGE, client, {"receive_timeout": left}).command("sync", table=one.table)
        except ClickHouseError as error:
            if getattr(error, "name", None) not in ("TIMEOUT_EXCEEDED", "ABORTED"):
                raise
            late.add(one.table)
    return late


def _looked_for(client: Client, behind: Sequence[Standing], seconds: float) -> Collection[str]:
    """Look until a server has fetched what it lacks of some tables, by itself; those of which it has not in time."""
    begun, pause = time.monotonic(), FIRST_LOOK_SECONDS
    awaited, found = {one.table: Awaited(one.written) for one in behind}, behind
    while True:
        waited = time.monotonic() - begun
        left = {one.table: awaited[one.table].left(one, waited) for one in found if one.table in awaited}
        awaited = {table: what for table, what in left.items() if what is not None}
        if not awaited or waited >= seconds:
            return awaited.keys()
        time.sleep(min(pause, seconds - waited))
        pause = min(2 * pause, POLL_SECONDS)
        found = standings(client, awaited)


def said_of_others(client: Client) -> tuple[str, ...]:
    """What to say of other servers: that replicas do not answer, do not show what others wrote, or have clocks by which
    no lease can be taken over; and that there are shards of which no host is named. Nothing if all is well.
    """
    place = place_of(client)
    if place is None:
        return ()
    others, silent = place.others()
    tables = {one.table for one in standings(client)}
    found = [*place.unnamed]
    found += [f"the replica at {address} does not answer: {words[:300]}" for address, words in silent.items()]
    # Of each replica by how much its clock is behind this host's, at the least and at the most.
    behind = [_behind(client)]
    for name, other in others.items():
        try:
            there = synced(other, seconds=POLL_SECONDS)
            behind.append(_behind(other))
            problems = unusable(there)
            if lacks := sorted(tables - {one.table for one in there}):
                problems.append(
                    f"it lacks {', '.join(lacks[:NAMED])}: attach what is detached, or run apply_schema_job"
                )
        except ClickHouseError as error:
            problems = [str(error)[:300]]
        found += [f"the replica {name}: {problem}" for problem in problems]
    if (apart := _apart(behind)[0]) > MOST_APART:
        found.append(f"{_apart_in_words(apart)}: while they do, nobody takes over the lease of a run that died")
    return tuple(found)


def _behind(client: Client) -> tuple[timedelta, timedelta]:
    """By how much a server's clock is behind this host's, at the least and at the most: it was read at some moment
    while one waited for the answer.
    """
    began = time.monotonic()
    clocks = read_clocks(client)
    within = timedelta(seconds=(time.monotonic() - began) / 2)
    return clocks.host - clocks.server - within, clocks.host - clocks.server + within


def everywhere(client: Client) -> dict[str, Client]:
    """A client of each replica that answers, by name, this one among them; of a server alone, itself."""
    return reached(client)[0]


def reached(client: Client) -> tuple[dict[str, Client], Sequence[str]]:
    """As `everywhere`, and the addresses of those that do not answer: of one look, for two may find others."""
    place = place_of(client)
    if place is None:
        return {"": client}, ()
    others, silent = place.others()
    return {place.name: client, **others}, tuple(silent)


def fenceable(
    client: Client,
    tell: Callable[[str], None] = _log.info,
    *,
    sleep: Callable[[float], None] = time.sleep,
    wait_seconds: float = SESSION_SECONDS,
) -> dict[str, Client]:
    """Clients of every replica on which work of others might live, by name; waits for one that does not answer until
    Keeper gives it up, for without a session there nothing is published by it.

    What others wrote while one waited for their lease is here then: a day is swapped in whole, and what this replica
    has not fetched of it would be gone from all.

    Raises:
        LeaseError: one is alive by Keeper and does not answer, this one has no session or lags, or clocks disagree.
            Nothing may be done in the place of others.
    """
    place = place_of(client)
    if place is None:
        return {"": client}
    until, has_told = time.monotonic() + wait_seconds, False
    while True:
        others, silent = place.others()
        reached: dict[str, Client] = {place.name: client, **others}
        left = unfenced(place.name, dict(Sql(PACKAGE, client).rows("active", {"table": BOOK})), reached)
        if not left:
            break
        names, why = ", ".join(left), "; ".join(f"{address}: {words[:300]}" for address, words in silent.items())
        if time.monotonic() >= until:
            raise LeaseError(
                f"the replica {names} is alive by Keeper and does not answer, or has no session, so that work of "
                f"the dead may yet be published: nothing was touched. Have it answer, or end it ({why or 'no session'})"
            )
        if not has_told:
            tell(f"waiting until the replica {names} answers, or Keeper gives it up: {why or 'no session'}")
            has_told = True
        sleep(POLL_SECONDS)
    least, most = _apart([_behind(one) for one in reached.values()])
    if least > MOST_APART:
        raise LeaseError(
            f"{_apart_in_words(least)}, for who holds a lease is told from the dead by them: nothing was touched"
        )
    if most > MOST_APART:
        raise LeaseError(
            f"a replica took so long to say what time it is that clocks may disagree by {most.total_seconds():.0f} s, "
            f"more than {MOST_APART.total_seconds():.0f} s: nothing was touched. Try again once all answer quickly"
        )
    if problems := unusable(synced(client)):
        raise LeaseError(f"the replica {place.name} is not worked on, nothing was touched: {'; '.join(problems)}")
    return reached


def _apart(behind: Collection[tuple[timedelta, timedelta]]) -> tuple[timedelta, timedelta]:
    """By how much clocks disagree, at the least and at the most, of which each is so far behind this host's."""
    pairs = [*permutations(behind, 2)]
    least, most = (max((one[at] - other[1 - at] for one, other in pairs), default=timedelta()) for at in (0, 1))
    return least, most


def _apart_in_words(apart: timedelta) -> str:
    return (
        f"the clocks of replicas disagree by {apart.total_seconds():.0f} s; have them agree within "
        f"{MOST_APART.total_seconds():.0f} s"
    )


def lagging(
    client: Client, table: str, same: Callable[[Client], object], seconds: float | None = None
) -> Mapping[str, str]:
    """Which of the other replicas do not show what this one shows of a table, and why, by name or address.

    ``same`` reads what is compared. Each is given time to fetch what it lacks, and is not waited for without end.
    """
    place = place_of(client)
    if place is None:
        return {}
    others, silent = place.others()
    late = {address: f"does not answer: {words[:300]}" for address, words in silent.items()}
    if not others:
        return late
    here = same(client)
    for name, other in others.items():
        try:
            problems = unusable(synced(other, {table}, seconds))
            if not problems and same(other) != here:
                problems = ["it shows other rows"]
        except ClickHouseError as error:
            problems = [str(error)[:300]]
        if problems:
            late[name] = "; ".join(problems)
    return late
