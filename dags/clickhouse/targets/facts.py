"""What a table is, as ClickHouse describes it, and what is said of any of them.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

NEXT_STEP = "run apply_schema_job"

RENAMED = f"rename it, and have the table made anew: {NEXT_STEP}"


def absent(name: str, detached: Collection[str], what: str = "table") -> str:
    """What is said of a table, or of what else ``what`` says, that nobody can read; ``detached``: those that are there
    and detached. No such one is made anew: ClickHouse takes that for done, and fails at the next statement of it.
    """
    if name in detached:
        return (
            f"the {what} {name} is detached: nobody can read it, and none can be made in its place. It is there as it "
            f"was once it is attached: ATTACH {what.upper()} {name}"
        )
    return f"the {what} {name} does not exist: {NEXT_STEP}"


@dataclass(frozen=True)
class Column:
    """``kind``: '', DEFAULT, MATERIALIZED, ALIAS or EPHEMERAL; ``value``: the expression of it."""

    type: str
    kind: str = ""
    value: str = ""


@dataclass(frozen=True)
class Facts:
    """A table as ClickHouse describes it; ``time_zone`` is the server's, for columns that name none.

    ``hides``: why rows of it may be hidden from the user of the connection, in words; see `hidden_by`. ``replicas``:
    how many a replicated table has by Keeper's account, 0 where nobody asked; ``hosts``: how many are named. Of fewer
    replicas than hosts, ``without`` are the addresses of those that have no such table with replicas, and ``apart`` of
    those that have it on another path. ``is_in_cluster``: whether the server is one of several, replicas or shards.
    There, what a table that holds no rows itself reads: ``shows``, tables of its database on its server;
    ``shows_elsewhere``, all else, in words.
    """

    name: str
    engine: str
    engine_full: str
    definition: str
    partition_key: str
    sorting_key: str
    uuid: str
    columns: Mapping[str, Column]
    read_by: tuple[str, ...] = ()
    written_by: tuple[str, ...] = ()
    time_zone: str = "UTC"
    hides: str = ""
    replicas: int = 0
    hosts: int = 1
    without: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    is_in_cluster: bool = False
    shows: tuple[Facts, ...] = ()
    shows_elsewhere: tuple[str, ...] = ()


def is_stored_in_parts(facts: Facts) -> bool:
    """Whether a table holds its rows itself, in parts; a Distributed or a view shows those of others."""
    return facts.engine.endswith("MergeTree")


def family(facts: Facts) -> str:
    return facts.engine.removeprefix("Replicated").removeprefix("Shared")


def with_article(engine: str) -> str:
    return f"{'an' if engine[:1] in 'AEIO' else 'a'} {engine}"
