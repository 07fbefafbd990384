"""One detection, and one build, over two shards against one server that has the same rows, both on this machine.

Each shard has half of the teams. What is slower on shards than on one server is what is asked of each, and what is put
together here; what is faster is that both work at the same time, where there are cores for it.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dags.bench.detecting import SETTLE
from dags.bench.figures import Spread, paragraph, table, verdict
from dags.bench.filling import NOW, World, fill_source, fill_stats
from dags.bench.shards_build import built_over_shards
from dags.clickhouse.child import call
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.sql import Sql
from dags.detection.detection import unreadable
from dags.detection.store import detect
from dags.domain.days import calendar
from dags.team_selection.store import write_selection
from dags.tests.clickhouse_cluster import cluster_obstacle, running_cluster
from dags.web_preaggregated.tables import WEB_TABLES
from dags.web_preaggregated_backfill.shards import observed_on_shards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from clickhouse_connect.driver.client import Client

    from dags.detection.detection import Detection
    from dags.metrics.recent import Recent
    from dags.tests.clickhouse_cluster import Cluster

WORLD, ROWS_PER_UNIT, ROUNDS = World(teams=5_000, days=30, events_per_unit=20, one_in=20), 4, 5
# Teams and events of the days that are built: of one that a server builds in seconds, and of one that calls for two.
BUILT = ((1_000, 1_000_000), (4_000, 4_000_000))
QUICK, QUICK_ROUNDS = World(teams=20, days=3, events_per_unit=8, one_in=7), 1
QUICK_BUILT = ((20, 5_000),)
TARGET = 1.2

BOOKS = ("events", *(one.name for one in WEB_TABLES), "web_pre_aggregated_builds")


def shards(*, quick: bool, progress: Callable[[str], None]) -> Iterator[str]:
    """Yield the text of the figures."""
    if reason := cluster_obstacle():
        yield f"shards: left out, {reason}"
        return
    world, rounds = (QUICK, QUICK_ROUNDS) if quick else (WORLD, ROUNDS)
    with tempfile.TemporaryDirectory() as name, running_cluster(Path(name), shards=2, replicas=1) as cluster:
        one, several = (
            Dsn.parse(cluster.servers[0][0].address.dsn("one")),
            Dsn.parse(cluster.dsn_of_shards("several", 0, 1)),
        )
        _fill(cluster, several, world, progress)
        first: dict[str, list[float]] = {"one server": [], "two shards": []}
        again: dict[str, list[float]] = {"one server": [], "two shards": []}
        seen: list[Detection] = []
        for number in range(rounds + 1):
            for way, dsn in (("one server", one), ("two shards", several)):
                read, recalled = _detected(dsn, world, reads_all_days=True), _detected(dsn, world)
                if number:  # the first of each reads from the disk what the others have in memory
                    first[way].append(read[1])
                    again[way].append(recalled[1])
                seen += [read[0], recalled[0]]
                progress(f"round {number} of {rounds}, {way}: {read[1]:.2f} s, again {recalled[1]:.2f} s")
        _refuse_unequal(world, seen)
        yield _text(world, first, again)
        for teams, events in QUICK_BUILT if quick else BUILT:
            ones = [Dsn.parse(server.address.dsn(f"one_{teams}")) for (server,) in cluster.servers]
            several = Dsn.parse(cluster.dsn_of_shards(f"several_{teams}", 0, 1))
            yield built_over_shards(ones, several, teams=teams, events=events, rounds=rounds, progress=progress)


def _fill(cluster: Cluster, several: Dsn, world: World, progress: Callable[[str], None]) -> None:
    """The same on both servers, in a database of its own; then each shard's half of it, as that shard's."""
    for shard, (server,) in zip(several.shards, cluster.servers, strict=True):
        with open_client(Dsn.parse(server.address.dsn("one")), wait_seconds=60, create_database=True) as client:
            fill_source(client, world, progress)
            fill_stats(client, world, ROWS_PER_UNIT, progress)
        with open_client(shard, wait_seconds=60, create_database=True) as client:
            apply_schema(client, WEB_TABLES)
            write_selection(client, range(1, world.teams + 1))
            half = world.teams // 2
            teams = {"first": 1 + half * (shard.shard - 1), "last": half if shard.shard == 1 else world.teams}
            for book in BOOKS:
                Sql("dags.bench", client).command("copy_teams", teams, target=book, origin="one")
                client.command(f"OPTIMIZE TABLE {book} FINAL")
            progress(f"shard {shard.shard}: teams {teams['first']:,} … {teams['last']:,}")


def _detected(dsn: Dsn, world: World, *, reads_all_days: bool = False) -> tuple[Detection, float]:
    """A detection, with a client that is opened for it as a tick does, and how long it took."""
    work = partial(_detect, days=world.days, reads_all_days=reads_all_days)
    days = calendar(NOW, lookback_days=world.days, settle=SETTLE)
    tables = tuple(one.name for one in WEB_TABLES)

    def on_engine(work: Callable[[Client], Any], shard: int = 0) -> Any:  # noqa: ANN401 -- whatever the work answers
        its = dsn.shards[max(shard - 1, 0)]
        return call(its, work, wait_seconds=60, limit_seconds=600, who="bench")

    started = time.perf_counter()
    if dsn.later:
        missed = partial(unreadable, tables=tables, calendar=days, lookback_days=world.days, read_at=NOW)
        found, _ = observed_on_shards(dsn, on_engine, work, missed)
    else:
        found, _ = on_engine(work)
    return found, time.perf_counter() - started


def _detect(client: Client, days: int, *, reads_all_days: bool) -> tuple[Detection, Recent | None]:
    found = detect(client, NOW, WEB_TABLES, lookback_days=days, settle=SETTLE, reads_all_days=reads_all_days)
    return found, None


def _refuse_unequal(world: World, found: Iterable[Detection]) -> None:
    """Both ways find the same, each time, or their times say nothing."""
    different = {(tuple(sorted(one.complete_by_table.items())), len(one.wrong), not one.unknown) for one in found}
    if len(different) != 1:
        raise AssertionError(f"of {world.units:,} units different ones are found: {different}")


def _text(world: World, first: dict[str, list[float]], again: dict[str, list[float]]) -> str:
    ways = ("one server", "two shards")
    read, recalled = ({way: Spread(tuple(taken[way])) for way in ways} for taken in (first, again))
    ratio = read["two shards"].over(read["one server"])
    return "\n".join(
        [
            f"shards: one detection of {world.teams:,} teams × {world.days} days × {len(WEB_TABLES)} tables",
            "",
            table(
                ["where", "seconds (min–max)", "again"],  # noqa: RUF001 -- a range
                [[way, read[way].seconds, recalled[way].seconds] for way in ways],
            ),
            "",
            paragraph(
                f"""{world.events_per_unit} events a unit, one unit in {world.one_in} wrong in each table. Each shard
                has half of the teams and one replica; both, their keeper and the one server are on this machine."""
            ),
            "  "
            + verdict(
                f"at most {TARGET} ×",
                f"{ratio.times} the time of one server",
                is_met=ratio.median <= TARGET,
            ),
        ]
    )
