"""The private table in which a load lands: made, handed over from one run to the next, and asked.

A run that died may have left a statement running, and one that was taken for dead may wake up. So every run lands in a
table of its own, which its token names: it takes over what earlier ones landed, by hard links, and drops theirs before
it lands anything itself. What is still written there is lost with them, and lands again. Which run is the later one,
its number in the name says, so that one that wakes up drops nothing of who came after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.clickhouse.leases.rules import run_key
from dags.clickhouse.replicas.store import everywhere, fenceable
from dags.clickhouse.sql import Sql
from dags.domain.errors import LeaseLostError
from dags.domain.expression import Expression
from dags.publish.staging import drop
from dags.sources.loads.names import (
    LANDING_PREFIX,
    STAGING_PREFIX,
    copy_name,
    landing_name,
    prefixes_of,
    run_in,
    sequence_of,
)
from dags.sources.loads.verdicts import Checkpoint, findings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.sources.loads.shape import Shape
    from dags.sources.loads.verdicts import Finding

PACKAGE = "dags.sources.loads"

# So many parts are not merged: that costs more than it saves whoever reads them once. More have rows of every day each,
# where keys are not in the order of time, and each costs up to 0.7 MiB when days are staged (700 MiB of 1,000 parts).
MANY_PARTS = 100

# So many pieces of a batch can be read without the others: days are staged some at a time.
_PIECES, _MOST_ROWS_A_PIECE, _LEAST_ROWS_A_PIECE = 5, 8192, 1024

# Up to which sizes parts are merged: ClickHouse's default, and none.
_MERGED_BYTES, _NOT_MERGED_BYTES = 150 * 2**30, 1

# So many keys of rows that a check refuses are named.
EXAMPLES = 5


@dataclass(frozen=True)
class Landing:
    """What has landed of a load, in the table ``name``."""

    name: str
    shape: Shape

    def checkpoints(self, client: Client) -> dict[int, Checkpoint]:
        """How much of each part of the source has landed; of none that it does not name has a row."""
        rows = Sql(PACKAGE, client).rows("checkpoints", landing=self.name)
        return {part: Checkpoint(*values) for part, *values in rows}

    def batch_rows(self, client: Client, part: int, batch: int) -> int:
        """How many rows of a batch have landed, where nobody said so when they did."""
        (rows,) = Sql(PACKAGE, client).row("batch_rows", {"part": part, "batch": batch}, landing=self.name)
        return int(rows)

    def findings(self, client: Client) -> tuple[Finding, ...]:
        """What is wrong with it."""
        checks = self.shape.checks()
        pairs = Expression(
            ", ".join(
                f"(countIf({check.condition}), groupArrayIf({EXAMPLES})(_key, ifNull({check.condition}, 0)))"
                for check in checks
            )
        )
        [counts] = Sql(PACKAGE, client).row("findings", landing=self.name, pairs=pairs)
        return findings(checks, counts)

    def rows_by_day(self, client: Client) -> dict[date, int]:
        """What it brings."""
        return dict(Sql(PACKAGE, client).rows("rows_by_day", landing=self.name))

    def teams(self, client: Client) -> tuple[tuple[int, int, bool], ...]:
        """Of each team, its rows, most first, and whether it is enabled."""
        rows = Sql(PACKAGE, client).rows("teams", landing=self.name, team=self.shape.team)
        return tuple((team, count, bool(is_enabled)) for team, count, is_enabled in rows)


def open_landing(
    client: Client,
    work_id: str,
    sequence: int,
    token: str,
    shape: Shape,
    *,
    confirm: Callable[[], None],
    batch_size: int,
    rows: int | None,
) -> Landing:
    """The landing table of a run, with all that earlier ones have landed in theirs, which are gone then.

    About so many ``rows`` come, None if nobody knows, in batches of ``batch_size``. ``sequence`` is greater than that
    of every run which held the lease of the work before. Whoever holds it may call this once; ``confirm`` makes sure
    that it is still held.

    Who takes the lease lists the tables after that. So whoever is told that it still held it when its own was there and
    had everything, is seen by the next, and may drop the others; and who is told otherwise drops nothing that it took
    over, for it may be all there is.

    Raises:
        LeaseLostError: another run has taken over meanwhile.
    """
    sql, names = Sql(PACKAGE, client), tables_of(client, work_id)
    found = {place: name for name in names if (place := sequence_of(work_id, name)) is not None}
    earlier = [name for place, name in sorted(found.items()) if place < sequence]
    mine = landing_name(work_id, sequence, token)
    if earlier:
        copy = copy_name(work_id, sequence, token)
        sql.command("create_copy", copy=copy, landing=earlier[-1])
        sql.command("attach_all", copy=copy, landing=earlier[-1])
        sql.command("rename", copy=copy, landing=mine)
    else:
        create_landing(client, mine, shape, batch_size=batch_size, rows=rows)
    try:
        confirm()
    except LeaseLostError:
        if not earlier:
            drop_table(client, mine)
        raise
    for name in tables_of(client, work_id):
        places = (sequence_of(work_id, name, is_copy=is_copy) for is_copy in (False, True))
        if any(place is not None and place < sequence for place in places):
            drop_table(client, name)
    return Landing(mine, shape)


def create_landing(client: Client, name: str, shape: Shape, *, batch_size: int, rows: int | None) -> Landing:
    """An empty landing table for about so many ``rows``, None if nobody knows, in batches of ``batch_size``."""
    is_merged = rows is None or rows > MANY_PARTS * batch_size
    merged = Expression(str(_MERGED_BYTES if is_merged else _NOT_MERGED_BYTES))
    piece = Expression(str(max(_LEAST_ROWS_A_PIECE, min(batch_size // _PIECES, _MOST_ROWS_A_PIECE))))
    Sql(PACKAGE, client).command(
        "create_landing", landing=name, declaration=shape.declaration, merged_bytes=merged, granularity=piece
    )
    return Landing(name, shape)


def tables_of(client: Client, work_id: str) -> list[str]:
    """Every table of a load beside the target."""
    rows = Sql(PACKAGE, client).rows("tables", {"prefixes": prefixes_of(work_id)})
    return [name for (name,) in rows]


def drop_table(client: Client, name: str) -> None:
    """Drop a table of a load; a statement that still uses it ends first."""
    drop(client, Sql("dags.publish", client), name)


def drop_tables(client: Client, work_id: str) -> int:
    """Drop every table of a load beside the target, on every replica that answers; how many those were."""
    tables = [(one, name) for one in everywhere(client).values() for name in tables_of(one, work_id)]
    for one, name in tables:
        drop_table(one, name)
    return len(tables)


def drop_staged(client: Client, work_id: str, token: str) -> None:
    """Drop what a run has staged of a load; what is being attached from there is attached first."""
    for name in tables_of(client, work_id):
        if name.startswith(STAGING_PREFIX) and name.endswith(token):
            drop_table(client, name)


def fence_loads(client: Client, runs: Collection[str]) -> None:
    """Drop what these runs have staged, so that they attach nothing of it any more; what has landed is kept."""
    marks = [f"_run_{run_key(run)}__" for run in runs]
    for one in fenceable(client).values() if marks else ():
        for (name,) in Sql(PACKAGE, one).rows("tables", {"prefixes": [STAGING_PREFIX]}):
            if any(mark in name for mark in marks):
                drop_table(one, name)


def drop_tables_of_runs(client: Client, kind: str, is_over: Callable[[str], bool]) -> None:
    """Drop what runs of a kind of loads have landed and staged, whose works' ids begin so. ``is_over``: whether that of
    a run is to go, as `run_key` has it.
    """
    prefixes = [f"{prefix}{run_key(kind)}_" for prefix in (LANDING_PREFIX, STAGING_PREFIX)]
    for one in fenceable(client).values():
        for (name,) in Sql(PACKAGE, one).rows("tables", {"prefixes": prefixes}):
            if is_over(run_in(name)):
                drop_table(one, name)


def all_landed(client: Client) -> list[str]:
    """The tables of all loads beside their targets."""
    prefixes = [LANDING_PREFIX, STAGING_PREFIX]
    return [name for (name,) in Sql(PACKAGE, client).rows("tables", {"prefixes": prefixes})]
