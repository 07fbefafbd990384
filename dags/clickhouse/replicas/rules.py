"""What replicas must be so that work may be done on one of them.

Pure: no clock, no database, no Dagster. How servers are set up is declared, by the hosts and the cluster that
`CLICKHOUSE_DSN` names, and held against what a server says of itself; nothing is guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.briefly import NAMED

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

# By these every path in Keeper is made, and each replica told from the others.
MACROS = ("shard", "replica")

_PLAIN = re.compile(r"[\w.-]+", re.ASCII)

_ENGINE = re.compile(r"\bENGINE = (?P<family>\w*MergeTree)(?:\((?P<arguments>[^()]*)\))?")
_CREATED = re.compile(r"\bCREATE TABLE IF NOT EXISTS (\w+)")

# Without it what is the same bytes as something earlier is left out in silence: rows of a load that was taken back and
# brought again, a day that is attached twice.
KEEPS_ALL = "replicated_deduplication_window = 0"

# How long a server may take to hear from Keeper of the first entry of a log: that is milliseconds.
FIRST_ENTRY_SECONDS = 0.25


@dataclass(frozen=True)
class Member:
    """One server of a cluster, as a server has it. ``is_own``: it is that server."""

    shard: int
    name: str
    is_own: bool


@dataclass(frozen=True)
class Standing:
    """How a replicated table stands on a server. ``is_behind``: others have written what is not here yet. ``is_alone``:
    of one that is cut off, that this is so because Keeper does not answer.

    How many entries of the table's log it has ``taken``, of how many that are ``written``; ``queued``: the names of
    those that it has taken and not done.
    """

    table: str
    is_cut_off: bool
    is_behind: bool
    lag_seconds: int
    why: str = ""
    taken: int = 0
    written: int = 0
    queued: frozenset[str] = frozenset()
    is_alone: bool = False

    @property
    def is_perhaps_new(self) -> bool:
        """Whether it is as it would be if nobody had ever written. Servers number a log's entries from 0, and say 0 of
        a log without any: so it may also be that the very first entry is not taken yet.
        """
        return (self.taken, self.written, self.lag_seconds) == (0, 1, 0) and not self.queued


@dataclass(frozen=True)
class Awaited:
    """What is waited for of a table, by whoever can only look: that so many entries of its log are taken and done.

    ``entries``: those that are to be done, once all are taken; None before. What others write meanwhile is not waited
    for, or the wait would have no end where rows come all the time.
    """

    written: int
    entries: frozenset[str] | None = None

    def left(self, now: Standing, waited_seconds: float) -> Awaited | None:
        """What is to be waited for yet; None when all is done, or has been as in a new table for long enough: a server
        is told of a first entry at once, and one that is kept from taking it has a delay by its own account.
        """
        if now.is_perhaps_new and waited_seconds >= FIRST_ENTRY_SECONDS:
            return None
        if now.taken < self.written:
            return self
        entries = now.queued if self.entries is None else self.entries & now.queued
        return Awaited(self.written, entries) if entries else None


def unlike_declared(
    cluster: str,
    hosts: int,
    members: Sequence[Member],
    macros: Mapping[str, str],
    clusters: Collection[str],
    *,
    place: tuple[int, int] = (0, 0),
) -> list[str]:
    """Why a server is not a replica of what was declared, each with what to do; nothing if it is.

    ``hosts``: how many `CLICKHOUSE_DSN` names. ``clusters``: what the server knows. ``place``: as which shard of how
    many it is named; 0 where no others are, which is nobody's claim about the rest of its cluster.
    """
    if not members:
        known = ", ".join(sorted(clusters)) or "none"
        return [f"it knows no cluster {cluster!r} (it knows {known}): correct ?cluster= in CLICKHOUSE_DSN"]
    problems = []
    own = [one for one in members if one.is_own]
    if len(own) != 1:
        problems.append(
            f"it is {len(own)} times in the cluster {cluster!r} by its own account: expected once. Name the cluster of "
            "the servers in CLICKHOUSE_DSN, and let its configuration have this server's host and port"
        )
    shard = own[0].shard if own else members[0].shard
    of_shard = [one for one in members if one.shard == shard]
    number, count = place
    if number and (shards := len({one.shard for one in members})) != count:
        problems.append(
            f"the cluster {cluster!r} has {shards} shards, and CLICKHOUSE_DSN names {count}: name each of them once, "
            "with semicolons between them"
        )
    elif number and shard != number:
        problems.append(
            f"it is of shard {shard} of the cluster {cluster!r}, and CLICKHOUSE_DSN has it in place {number}: name the "
            "shards in the order in which system.clusters counts them"
        )
    if len(of_shard) != hosts:
        names = ", ".join(one.name for one in of_shard)
        problems.append(
            f"shard {shard} of the cluster {cluster!r} has {len(of_shard)} replicas ({names}), and CLICKHOUSE_DSN "
            f"names {hosts} hosts: name each of them once"
        )
    problems += [
        (
            f"its macro {{{macro}}} is {macros.get(macro, '')!r}: expected letters, digits, _, . and -, for paths in "
            "Keeper are made of it. Set it in the server's <macros>"
        )
        for macro in MACROS
        if not _PLAIN.fullmatch(macros.get(macro, ""))
    ]
    return problems


def unnamed_shards(cluster: str, members: Sequence[Member]) -> tuple[str, ...]:
    """What to say where the hosts of one shard alone are named: nothing if there is no other in their cluster."""
    shards = {one.shard for one in members}
    return (
        (
            f"the cluster {cluster!r} has {len(shards)} shards, and CLICKHOUSE_DSN names the hosts of one: of teams on "
            "the others nothing is known. Name those hosts too, with semicolons between the shards; or, where this is "
            "meant, let ?cluster= name one of these hosts alone"
        ),
    ) * (len(shards) > 1)


def unusable(standings: Sequence[Standing]) -> list[str]:
    """Why what a server holds is not all that there is, by table."""
    problems = []
    if cut_off := [one for one in standings if one.is_cut_off]:
        why = next((f" ({one.why[:200]})" for one in cut_off if one.why), "")
        problems.append(f"it has no session with Keeper, or may not write: {_tables(cut_off)} are read-only{why}")
    if behind := [one for one in standings if one.is_behind and not one.is_cut_off]:
        lag = max(one.lag_seconds for one in behind)
        problems.append(
            f"it lags behind: what others wrote into {_tables(behind)} is not here yet ({lag} s by its own "
            "account). Wait until it has fetched that, or see system.replication_queue for why it does not"
        )
    return problems


def _tables(standings: Sequence[Standing]) -> str:
    names = [one.table for one in standings]
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def unfenced(own: str, active: Mapping[str, bool], reached: Collection[str]) -> list[str]:
    """The replicas on which somebody may publish yet: those that Keeper holds for alive and that cannot be reached.

    ``own`` is whose view of Keeper ``active`` is: one without a session sees nobody alive, and knows nothing.
    """
    if not active.get(own):
        return [own]
    return sorted(name for name, is_active in active.items() if is_active and name not in reached)


def replicated(statement: str, database: str) -> str:
    """The statement that makes a table so that it has replicas; any other statement as it is.

    The path is written out, with the database's name: a path by uuid differs on servers that are told one by one.
    """
    created, engine = _CREATED.search(statement), _ENGINE.search(statement)
    if created is None or engine is None:
        return statement
    path = f"/clickhouse/tables/{{shard}}/{database}/{created[1]}"
    arguments = ", ".join([f"'{path}'", "'{replica}'", *([engine["arguments"]] if engine["arguments"] else [])])
    made = (
        statement[: engine.start()] + f"ENGINE = Replicated{engine['family']}({arguments})" + statement[engine.end() :]
    )
    return made.rstrip() + (", " if re.search(r"^SETTINGS ", made, re.MULTILINE) else "\nSETTINGS ") + KEEPS_ALL


def leases_shard(macros: Mapping[str, str]) -> str:
    """The part of the path of leases that tells shards apart, as an identifier."""
    return "shard_" + re.sub(r"\W|_", lambda sign: f"_{ord(sign[0]):x}_", macros["shard"], flags=re.ASCII)
