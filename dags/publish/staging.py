"""The tables that a build makes beside those that readers see, and how what others left of theirs is cleared away.

Every name holds the day, the build's token and, in the end, the table that it is staged for: so a build that takes a
lease finds what others staged of that table and day, and a sweep finds what no living build has.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Self

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.leases.rules import BID_PREFIX, LEASE_PREFIX, is_of_this_process, run_key
from dags.clickhouse.leases.store import kept, read_leases
from dags.clickhouse.replicas.store import everywhere, fenceable, place_of
from dags.clickhouse.sql import Part, Sql, is_embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.leases.rules import Lease

_PACKAGE = "dags.publish"

# Every staging table's name begins so; nothing else's may.
STAGING_PREFIX = "web_pre_aggregated_staging_"

# Named by the error of a ClickHouse that makes no table with columns which are no part of its key, unless it is set.
_BESIDE_KEY = "allow_dimensions_outside_sorting_key"

# Said where a table that is made like a replicated one would have its path in Keeper, or one with a {uuid} not its own.
_SAME_REPLICA = ("REPLICA_ALREADY_EXISTS", "Macro 'uuid' in engine arguments")

_BESIDE_KEY_VARIANT, _OF_REPLICATED_VARIANT = "beside_key", "of_replicated"

# What a day that is emptied is moved to.
EMPTIED = "emptied"

_EMPTIED_OF = re.compile(rf"{STAGING_PREFIX}(?P<day>\d{{8}})_\w+_{EMPTIED}\d+__(?P<table>\w+)")

# Stands in a name for what is staged for no table in particular.
SCRATCH = "scratch"


class Tables:
    """Staging tables that are dropped together when this closes, whether each was made by then or not."""

    def __init__(self, drop: Callable[[Sequence[str], bool], None]) -> None:
        self._drop = drop
        self._names: list[str] = []

    def add(self, name: str) -> None:
        self._names.append(name)

    def hand_over(self, to: Tables) -> None:
        """Leave them to others, which drop them in the end."""
        to._names += self._names
        self._names = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._drop(self._names, error is not None)


class Staging:
    """The staging tables of one build of one day, each among `Tables` that are dropped together.

    ``tell`` gets in words what could not be dropped.
    """

    def __init__(
        self,
        client: Client,
        sql: Sql,
        day: date,
        token: str,
        tell: Callable[[str], None],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._sleep = sleep
        self._sql = sql.without_settings()
        self._day = f"{day:%Y%m%d}"
        self._token = token
        self._tell = tell
        self._numbers = count(1)

    def together(self) -> Tables:
        """Tables to come, which are dropped together."""
        return Tables(self._drop)

    def name(self, tables: Tables, kind: str, table: str = SCRATCH) -> str:
        """A name never used before, so that what a broken connection left running writes where nobody reads."""
        name = f"{STAGING_PREFIX}{self._day}_{self._token}_{kind}{next(self._numbers)}__{table}"
        tables.add(name)
        return name

    def like(self, tables: Tables, kind: str, table: str) -> str:
        """An empty table like ``table``."""
        name = self.name(tables, kind, table)
        # A day is moved from a replicated table to another such one alone.
        path = f"{self._client.database}/{name}" if kind == EMPTIED else ""
        make_like(self._sql, "create_staging", path=path, staging=name, target=table)
        return name

    def fence(self, tables: Iterable[str]) -> list[str]:
        """Drop what any other build has staged of these tables and this day, so that it can publish nothing of it any
        more; the names of whatever else of others there is, staging, bids and leases, read while ours are held. This
        process's leases are left out, for it lives.

        A swap that is being done ends first: a table is gone only when nobody uses it. So on every replica, for the
        other build may have been on another one.

        Raises:
            ClickHouseError: one cannot be dropped. Its build may live and publish it, so nothing may be built here.
            LeaseError: nor where a replica that may have one does not answer.
        """
        # With the kind and its number: one table's name may be the end of another's.
        staged = re.compile(rf"{STAGING_PREFIX}{self._day}_\w+_[a-z]+\d+__(?:{'|'.join(tables)})")
        left = []
        for client in fenceable(self._client, self._tell, sleep=self._sleep).values():
            sql = Sql(_PACKAGE, client)
            for name, holder in _listed(sql):
                if self._token in name or (name.startswith(LEASE_PREFIX) and is_of_this_process(holder)):
                    continue
                if staged.fullmatch(name):
                    drop(client, sql, name)
                elif client is self._client:
                    left.append(name)
        return left

    def _drop(self, names: Sequence[str], may_be_written: bool) -> None:  # noqa: FBT001 -- as `Tables` calls it
        if not may_be_written and not any(map(_EMPTIED_OF.fullmatch, names)) and names:
            with suppress(ClickHouseError):
                self._sql.command("drop_table", tables=tuple(names))
                return
        for name in names:
            # The build's own outcome is what its caller must hear of, and a later sweep tries again.
            try:
                drop(self._client, self._sql, name, may_be_written=may_be_written)
            except ClickHouseError as fault:
                self._tell(left_behind(name, fault))


def _listed(sql: Sql) -> Iterable[tuple[str, str]]:
    """All staging tables, bids for leases, and leases, each with its comment; ``sql`` is of any package."""
    return Sql.of(sql, _PACKAGE).rows("leftovers", {"prefixes": [STAGING_PREFIX, BID_PREFIX, LEASE_PREFIX]})


def fence_runs(client: Client, runs: Iterable[str]) -> None:
    """Drop whatever some runs have staged, so that they can publish nothing of it any more."""
    marks = [f"_run_{run_key(run)}__" for run in runs]
    for one in fenceable(client).values() if marks else ():
        sql = Sql(_PACKAGE, one)
        for name, _ in _listed(sql):
            if name.startswith(STAGING_PREFIX) and any(mark in name for mark in marks):
                drop(one, sql, name)


def make_like(sql: Sql, name: str, *, path: str = "", **identifiers: str) -> None:
    """Run ``name.sql``, which makes a table like ``target``; or its variants, where ClickHouse makes none like that.

    That is so of a replicated one, whose path in Keeper would be copied, and of one with columns beside its key. Not
    the variants at once: they do without settings of the target's, and older servers do not know theirs. ``path``: the
    part of a path in Keeper for a table that is replicated as its target is, which parts can be moved to.
    """
    variant: list[str] = []
    engine: dict[str, str] = {}
    while True:
        try:
            sql.command("_".join([name, *variant]), None, **engine, **identifiers)
        except ClickHouseError as error:
            if _BESIDE_KEY in str(error) and _BESIDE_KEY_VARIANT not in variant:
                variant = [*variant, _BESIDE_KEY_VARIANT]
            elif any(words in str(error) for words in _SAME_REPLICA) and not engine:
                [(found,)] = Sql.of(sql, _PACKAGE).rows("engine", {"table": identifiers["target"]})
                family = str(found).removeprefix("Replicated")
                alike = f"Replicated{family}('/clickhouse/tables/{{shard}}/{path}', '{{replica}}')"
                engine = {"engine": Part(alike) if path else family}
                variant = [_OF_REPLICATED_VARIANT, *variant]
            else:
                raise
        else:
            return


def drop(client: Client, sql: Sql, name: str, *, may_be_written: bool = True) -> None:
    """Drop a staging table; if something may still be writing into it, stop that first.

    A day that was moved out of its table, by a build that ended before it knew whether rows of others went along, goes
    back first: nobody else has these rows.

    Raises:
        ClickHouseError: it could not be dropped, or what it has could not be put back, and then it is not dropped.
    """
    if may_be_written and not is_embedded(client):
        with suppress(ClickHouseError):
            sql.command("kill", {"table": name})
    if moved := _EMPTIED_OF.fullmatch(name):
        ours = Sql.of(sql, _PACKAGE)
        (rows,) = ours.row("staged_rows", {"table": name})
        if rows and not _is_overtaken(client, ours, name, moved):
            ours.command("empty_day", {"partition": int(moved["day"])}, target=name, staging=moved["table"])
    sql.command("drop_table", tables=name)


def _is_overtaken(client: Client, sql: Sql, name: str, moved: re.Match[str]) -> bool:
    """Whether the day was built since it was moved out: on another replica, while this one was down. It would be there
    twice then. Where a server stands alone nobody builds a day before this is done.
    """
    if place_of(client) is None:
        return False
    (is_built,) = sql.row("built_since", {"table": moved["table"], "day": moved["day"], "staging": name})
    return bool(is_built)


def leftovers(client: Client) -> list[str]:
    """The names of what builds that ended left behind: staging and bids under no living lease, and leases of the dead.

    On every replica that answers. Nothing is done by it, so nothing is written to be sure of it: whoever asks may have
    no right to, and of a lease that is read a moment late the next answer knows.
    """
    tables, dead = _left(client)
    return [*(name for _, name in tables), *(lease.name for lease in dead)]


def _left(
    client: Client, token: str | None = None, names: Iterable[str] | None = None, *, up_to_date: bool = False
) -> tuple[list[tuple[Client, str]], list[Lease]]:
    """Tables that builds which ended left behind, each with a client of its server, and leases of the dead.

    ``token``: of the build that asks; ``names``: of what is not its own on its server, where `Staging.fence` has read
    it already. ``up_to_date`` as `read_leases` has it: who only tells writes nothing.
    """
    listed = [
        (one, name)
        for one in everywhere(client).values()
        for name in (
            names if names is not None and one is client else [name for name, _ in _listed(Sql(_PACKAGE, one))]
        )
    ]
    if not listed and place_of(client) is None:
        return [], []
    leases = read_leases(client, except_token=token, up_to_date=up_to_date)
    living = [lease for lease in leases if not lease.is_dead(is_embedded=is_embedded(client))]
    holders = [lease.token for lease in living if lease.token] + ([token] if token else [])
    left = [
        (one, name)
        for one, name in listed
        if not name.startswith(LEASE_PREFIX) and not any(holder in name for holder in holders)
    ]
    return left, [lease for lease in leases if lease not in living]


def sweep(
    client: Client, tell: Callable[[str], None], *, token: str | None = None, names: Iterable[str] | None = None
) -> int:
    """Drop what builds that ended left behind, as `leftovers` has it; how many tables that were.

    What cannot be dropped is told and left: it is in nobody's way, and no reason for a build to fail.
    Live and dead are told apart by their leases: a build holds its lease before it stages, and gives it back last.
    """
    tables, dead = _left(client, token, names, up_to_date=token is None)
    dropping: list[tuple[str, Callable[[], None]]] = [
        *((name, partial(drop, one, Sql(_PACKAGE, one), name)) for one, name in tables),
        *((lease.name, partial(kept(client).give_back, lease.name, lease.token)) for lease in dead),
    ]
    dropped = 0
    for name, done in dropping:
        tell(f"dropping {name}, left behind by a build that died")
        try:
            done()
        except ClickHouseError as fault:
            tell(left_behind(name, fault))
        else:
            dropped += 1
    return dropped


def left_behind(name: str, fault: ClickHouseError) -> str:
    """What is said of a table that nobody needs and that cannot be dropped."""
    return (
        f"{name} cannot be dropped and takes up disk until it is: {str(fault)[:300]}. The next build tries again; "
        f"put the cause right, or DROP TABLE {name} SYNC by hand"
    )
