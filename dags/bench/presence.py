"""What detection reads, against the number of rows: presence alone beside its peer, then all signals.

The peer is the anti-join over distinct (team, day) of the same table, asked of its rows. Sizes are measured in turns
too, since growth is the ratio of two short times.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.bench.detecting import detection, signals_cost
from dags.bench.figures import Spread, paragraph, table, verdict
from dags.bench.filling import World, fill_source, fill_stats
from dags.clickhouse.sql import Sql
from dags.web_preaggregated.tables import STATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date

    from clickhouse_connect.driver.client import Client

# 120,000 units of 84 and of 835 rows of web_pre_aggregated_stats: 10 M and 100 M.
WORLD, ROWS_PER_UNIT, ROUNDS = World(teams=2000, days=60, events_per_unit=417, one_in=1000), (84, 835), 11
QUICK_WORLD, QUICK_ROWS_PER_UNIT, QUICK_ROUNDS = World(teams=10, days=3, events_per_unit=20, one_in=7), (10, 100), 2

TARGET_FEWER_ROWS = 300
TARGET_GROWTH = 1.2
TARGET_ROWS_PER_UNIT = 3

OURS, PEER = "missing_by_projection", "missing_by_distinct"
STATEMENTS = {OURS: "projection", PEER: "distinct anti-join", "missing_by_bitmap": "bitmap by day"}


@dataclass(frozen=True)
class Size:
    """One size of the table, its copy to measure presence on, and what all signals cost there."""

    rows: int
    copy: str
    missing: frozenset[tuple[date, int]]
    read_by_suspects: int
    read_by_failures: int
    seconds: float
    verified: int
    read_to_verify: int

    def per_unit(self, world: World) -> float:
        return (self.read_by_suspects + self.read_by_failures) / world.units


@dataclass(frozen=True)
class Asked:
    """One way of asking for presence, at one size."""

    rows_read: int
    seconds: Spread


def presence_and_signals(client: Client, *, quick: bool, progress: Callable[[str], None]) -> Iterator[str]:
    """Yield the text of both parts."""
    world, sizes, rounds = (QUICK_WORLD, QUICK_ROWS_PER_UNIT, QUICK_ROUNDS) if quick else (WORLD, ROWS_PER_UNIT, ROUNDS)
    fill_source(client, world, progress)
    Sql("dags.bench", client).command("add_bitmap", target=STATS.name)
    taken = [_size(client, world, rows_per_unit, progress) for rows_per_unit in sizes]
    progress(f"{rounds} rounds of presence")
    yield _presence_text(world, taken, _presence(client, world, taken, rounds))
    yield _signals_text(world, taken)


def _size(client: Client, world: World, rows_per_unit: int, progress: Callable[[str], None]) -> Size:
    fill_stats(client, world, rows_per_unit, progress)
    sql = Sql("dags.bench", client)
    copy = f"bench_stats_{rows_per_unit}"
    sql.command("create_peer", peer=copy, target=STATS.name)
    sql.command("copy_partitions", copy=copy, target=STATS.name)
    rows = {name: int(count) for name, count in sql.rows("count_rows")}[STATS.name]
    progress(f"all signals at {rows:,} rows")
    found = detection(client, world.days)
    if found.unknown or len(found.missing) != len(found.verdicts):
        raise AssertionError(f"not all that is wrong is missing: {found.wrong[:3]}, {found.unknown}")
    cost = signals_cost(client, world.days)
    suspects, failures = (int(cost[name].rows_read or 0) for name in ("suspects", "failures"))
    return Size(
        rows,
        copy,
        frozenset((one.unit.day, one.unit.team_id) for one in found.missing if one.unit.table == STATS.name),
        suspects,
        failures,
        cost["suspects"].seconds + cost["failures"].seconds,
        len(found.verdicts),
        int(found.cost.rows_read or 0) - suspects - failures,
    )


def _presence(client: Client, world: World, sizes: Sequence[Size], rounds: int) -> dict[tuple[str, int], Asked]:
    """Every way at every size, by the way's statement and the size's rows."""
    bound = {"start": world.span.start, "days": world.days, "teams": world.teams}
    seconds: dict[tuple[str, int], list[float]] = {(name, size.rows): [] for name in STATEMENTS for size in sizes}
    read: dict[tuple[str, int], int] = {}
    for number in range(rounds + 1):
        for name in STATEMENTS:
            for size in sizes:
                sql = Sql("dags.bench", client)
                started = time.perf_counter()
                answer = sql.rows(name, bound, target=size.copy)
                if number:  # the first opens the files of every part
                    seconds[name, size.rows].append(time.perf_counter() - started)
                read[name, size.rows] = int(sql.cost.rows_read or 0) - 1  # what is expected takes one row
                if frozenset(answer) != size.missing or not answer:
                    raise AssertionError(
                        f"{name} names {len(answer)} units, the detection {len(size.missing)} or others"
                    )
    return {key: Asked(read[key], Spread(tuple(found))) for key, found in seconds.items()}


def _presence_text(world: World, sizes: Sequence[Size], asked: dict[tuple[str, int], Asked]) -> str:
    lines = [
        [words, f"{size.rows:,}", one.seconds.milliseconds, f"{one.rows_read:,}"]
        for size in sizes
        for name, words in STATEMENTS.items()
        for one in [asked[name, size.rows]]
    ]
    small, large = sizes[0].rows, sizes[-1].rows
    ours, peer = asked[OURS, large], asked[PEER, large]
    fewer = peer.rows_read / ours.rows_read
    growth = ours.seconds.over(asked[OURS, small].seconds)
    return "\n".join(
        [
            f"presence: which of {world.teams:,} teams × {world.days} days have no row in {STATS.name}",
            "",
            table(["way", "rows in the table", "ms (min–max)", "rows read"], lines),  # noqa: RUF001 -- a range
            "",
            paragraph(
                f"""Rows read are those of the table alone, in each way: what is expected is a list that takes one
                row. All name the same {len(sizes[-1].missing)} missing units; the bitmaps are another projection, there
                only to be weighed. At the larger size the projection is {peer.seconds.over(ours.seconds).times} as
                fast as the anti-join."""
            ),
            "  "
            + verdict(
                f"at least {TARGET_FEWER_ROWS} ×",
                f"{fewer:,.0f} × fewer rows read than the anti-join at {large:,}",
                is_met=fewer >= TARGET_FEWER_ROWS,
            ),
            "  "
            + verdict(
                f"at most {TARGET_GROWTH} ×",
                f"{growth.times} the time at {large / small:.1f} × the rows",
                is_met=growth.median <= TARGET_GROWTH,
            ),
        ]
    )


def _signals_text(world: World, sizes: Sequence[Size]) -> str:
    lines = [
        [
            f"{size.rows:,}",
            f"{size.read_by_suspects:,}",
            f"{size.read_by_failures:,}",
            f"{size.per_unit(world):.2f}",
            f"{size.seconds:.2f} s",
            f"{size.read_to_verify:,} for {size.verified}",
        ]
        for size in sizes
    ]
    most = max(size.per_unit(world) for size in sizes)
    return "\n".join(
        [
            f"the full signals: {world.units:,} units, {world.units_per_table * world.events_per_unit:,} events",
            "",
            table(["rows in stats", "suspects.sql", "failures.sql", "per unit", "seconds", "rows to verify"], lines),
            "",
            paragraph(
                f"""Rows read for both tables: the coverage projections of events and of the table, the ledger, which
                has one line a unit here, and the list of teams. A unit is a (table, team, day). Verifying the
                suspects exactly reads their own events and rows, and granules hold neighbours' as well; it is counted
                apart, for one unit in {world.one_in:,} here."""
            ),
            "  "
            + verdict(
                f"at most {TARGET_ROWS_PER_UNIT}",
                f"{most:.2f} rows read per unit",
                is_met=most <= TARGET_ROWS_PER_UNIT,
            ),
        ]
    )
