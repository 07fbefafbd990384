"""Asks replicas what they are, waits until one has what the others have, and finds out who is alive."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.replicas.place import PACKAGE, Place, macros_of, member
from dags.clickhouse.replicas.rules import Member, Standing, unfenced, unlike_declared, unusable
from dags.clickhouse.server import AMONG_REPLICAS_SECONDS, ServerClient
from dags.clickhouse.sql import Sql
from dags.domain.briefly import NAMED
from dags.domain.errors import LeaseError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn

# A table that every replica has, by which Keeper knows who is alive.
BOOK = "web_analytics_schema_version"

_log = logging.getLogger(__name__)

# How long one waits for a replica to fetch what others have, before it is told that it lags.
FETCH_SECONDS = 10.0

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
        raise UnreadableError(f"ClickHouse at {own} is not relied on: {'; '.join(problems)}")
    client.place = Place(dsn, own, macros, ready)
    return any(one.table == BOOK for one in stand)


def standings(client: Client, tables: Collection[str] | None = None) -> list[Standing]:
    """How each replicated table of the database, or of some, stands on this server."""
    rows = Sql(PACKAGE, client).rows("standing")
    found = (Standing(table, bool(cut), bool(behind), lag, why) for table, cut, behind, lag, why in rows)
    return [one for one in found if tables is None or one.table in tables]


def synced(client: Client, tables: Collection[str] | None = None, seconds: float | None = None) -> Sequence[Standing]:
    """How the tables stand once this server has been given time to fetch what others had written by now."""
    before = standings(client, tables)
    behind = [one.table for one in before if one.is_behind and not one.is_cut_off]
    if not behind:
        return before
    until = time.monotonic() + (FETCH_SECONDS if seconds is None else seconds)
    late = set[str]()
    for table in behind:
        left = max(1, round(until - time.monotonic()))
        try:
            Sql(PACKAGE, client, {"receive_timeout": left}).command("sync", table=table)
        except ClickHouseError as error:
            if getattr(error, "name", None) in ("READONLY", "ACCESS_DENIED"):
                # Who may not ask for it, as nobody may with `readonly`, waits by looking: a table into which others
                # write all the time may count as behind then.
                return _looked(client, tables, until)
            if getattr(error, "name", None) not in ("TIMEOUT_EXCEEDED", "ABORTED"):
                raise
            late.add(table)
    # What was written since they began to wait is no reason to wait on.
    return [replace(one, is_behind=one.table in late) for one in standings(client, tables)]


def _looked(client: Client, tables: Collection[str] | None, until: float) -> Sequence[Standing]:
    """How the tables stand once none is behind any more, or at an instant of this process's clock."""
    while True:
        found = standings(client, tables)
        if time.monotonic() > until or not any(one.is_behind and not one.is_cut_off for one in found):
            return found
        time.sleep(POLL_SECONDS / 10)


def absent(client: Client) -> tuple[str, ...]:
    """What to say of other replicas that do not answer, or do not show what others wrote: nothing if all do."""
    place = place_of(client)
    if place is None:
        return ()
    others, silent = place.others()
    tables = {one.table for one in standings(client)}
    found = [f"the replica at {address} does not answer: {words[:300]}" for address, words in silent.items()]
    for name, other in others.items():
        try:
            there = synced(other, seconds=POLL_SECONDS)
            problems = unusable(there)
            if lacks := sorted(tables - {one.table for one in there}):
                problems.append(
                    f"it lacks {', '.join(lacks[:NAMED])}: attach what is detached, or run apply_schema_job"
                )
        except ClickHouseError as error:
            problems = [str(error)[:300]]
        found += [f"the replica {name}: {problem}" for problem in problems]
    return tuple(found)


def everywhere(client: Client) -> dict[str, Client]:
    """A client of each replica that answers, by name, this one among them; of a server alone, itself."""
    place = place_of(client)
    return {"": client} if place is None else {place.name: client, **place.others()[0]}


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
    if apart := _apart(reached):
        raise LeaseError(
            f"the clocks of replicas disagree by {apart.total_seconds():.0f} s, and who holds a lease is told from the "
            f"dead by them: nothing was touched. Have them agree within {MOST_APART.total_seconds():.0f} s"
        )
    if problems := unusable(synced(client)):
        raise LeaseError(f"the replica {place.name} is not worked on, nothing was touched: {'; '.join(problems)}")
    return reached


def _apart(reached: Mapping[str, Client]) -> timedelta | None:
    """By how much clocks of replicas disagree, where that is too much; how long an answer takes is no skew."""
    read = [read_clocks(one) for one in reached.values()]
    skews = [one.host - one.server for one in read]
    apart = max(skews) - min(skews)
    return apart if apart > MOST_APART else None


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
