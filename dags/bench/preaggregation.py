"""The build of a day against the straightforward pair of queries, and against the least that grouping can cost."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.bench.figures import MEBIBYTE, Beside, Spread, Told, paragraph, table, verdict
from dags.bench.measuring import Run, measured
from dags.bench.traffic import FEW, load_day
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.refusals import error_code
from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.sql import Sql
from dags.publish.batches import build_limits
from dags.publish.build import DayBuild
from dags.settings import read_settings
from dags.tests.clickhouse_server import running_server
from dags.web_preaggregated.tables import BOUNCES, STATS, WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from clickhouse_connect.driver.client import Client

DAY = date(2026, 1, 15)
TEAMS = 1000
TABLES = (STATS.name, BOUNCES.name)
PEERS = {STATS.name: "peer_stats", BOUNCES.name: "peer_bounces"}
DIGESTS = {STATS.name: "stats_digest", BOUNCES.name: "bounces_digest"}
FLOORS = {STATS.name: "floor_stats", BOUNCES.name: "floor_bounces"}

# At most so many times the CPU of the floor.
TARGET_OF_FLOOR = 1.5

# ClickHouse's own, from ErrorCodes.cpp. The peer takes about 1 GiB for a million events (measured).
MEMORY_LIMIT_EXCEEDED = 241


@dataclass(frozen=True)
class Size:
    """How many events, how often each way is run on them, and by what factor the build is to be faster than the peer.

    ``neighbours``: the share of the day's sessions that the day before and the day after have; in production, all.
    """

    events: int
    rounds: int
    times: float
    neighbours: float = FEW


SIZES = (Size(1_000_000, 5, 3.0), Size(1_000_000, 3, 3.0, neighbours=1.0), Size(10_000_000, 3, 5.0))
QUICK = (Size(30_000, 2, 3.0),)


class UnequalError(AssertionError):
    """The two ways differ in their results, so that nothing else about them is worth comparing."""


def preaggregation(*, quick: bool, progress: Callable[[str], None]) -> Iterator[Told]:
    """Yield the text of the figures, size by size."""
    with tempfile.TemporaryDirectory() as directory, running_server(Path(directory)) as server:
        for number, size in enumerate(QUICK if quick else SIZES):
            dsn = Dsn.parse(server.dsn(f"bench_{number}"))
            with open_client(dsn, wait_seconds=60, create_database=True) as client:
                yield from _measured(client, size, progress)
                client.command(f"DROP DATABASE {dsn.database} SYNC")


def _measured(client: Client, size: Size, progress: Callable[[str], None]) -> Iterator[Told]:
    apply_schema(client, WEB_TABLES)
    progress(f"loading {size.events:,} events")
    events = load_day(client, DAY, TEAMS, size.events, size.neighbours)
    sql = Sql("dags.bench", client)
    for target, copy in (*PEERS.items(), *FLOORS.items()):
        sql.command("create_peer", peer=copy, target=target)
    floors: list[tuple[Run, Run]] = []
    pairs: list[tuple[Run, Run]] = []
    out_of_memory = 0
    for number in range(1, size.rounds + 1):
        built = measured(client, build)
        progress(f"{events:,} events, round {number} of {size.rounds}: build {built.seconds:.2f} s")
        try:
            peer = measured(client, _peer)
        except ClickHouseError as error:
            if error_code(error) != MEMORY_LIMIT_EXCEEDED:
                raise
            progress(f"{events:,} events, round {number} of {size.rounds}: the peer ran out of memory")
            out_of_memory += 1
        else:
            progress(f"{events:,} events, round {number} of {size.rounds}: peer {peer.seconds:.2f} s")
            if not pairs:
                _require_equal(sql)
                progress("both ways hold equal data")
            pairs.append((built, peer))
        floor = measured(client, _floor)
        progress(f"{events:,} events, round {number} of {size.rounds}: floor {floor.seconds:.2f} s")
        floors.append((built, floor))
        # Into empty tables each time, and no merge of these in the background of the next.
        for name in (*TABLES, *PEERS.values(), *FLOORS.values()):
            client.command(f"TRUNCATE TABLE {name} SYNC")
    yield _text(size, events, str(client.server_version), floors, pairs) + (
        f"\n  In {out_of_memory} of {size.rounds} rounds the peer ran out of memory." if out_of_memory else ""
    )
    figure = f"day, {events / 1e6:.1f} M, neighbours {size.neighbours:.0%}, CPU"
    yield _beside(figure, "floor", floors, TARGET_OF_FLOOR)
    if pairs:
        yield _beside(figure, "peer", pairs, 1 / size.times)


def _beside(figure: str, named: str, taken: Sequence[tuple[Run, Run]], target: float) -> Beside:
    ours, other = (_cpu([both[which] for both in taken]) for which in (0, 1))
    return Beside(figure, ours, named, other, target)


def _text(
    size: Size, events: int, version: str, floors: Sequence[tuple[Run, Run]], pairs: Sequence[tuple[Run, Run]]
) -> str:
    """The figures; without those of the peer where it always ran out of memory."""
    ways = {"build": [one for one, _ in floors], "floor": [one for _, one in floors], "peer": [one for _, one in pairs]}
    rows = [
        [
            name,
            wall.seconds,
            f"{events / wall.median:,.0f}",
            f"{_cpu(runs).median:.1f} s",
            f"{max(run.peak_bytes for run in runs) / MEBIBYTE:,.0f} MiB",
        ]
        for name, runs in ways.items()
        if runs
        for wall in (_wall(runs),)
    ]
    of_floor = _cpu(ways["build"]).over(_cpu(ways["floor"]))
    lines = [
        f"pre-aggregation of a day: {events:,} events of {TEAMS:,} teams, neighbours {size.neighbours:.0%}, {version}",
        "",
        table(["way", "seconds (min–max)", "events/s", "CPU", "peak memory"], rows),  # noqa: RUF001 -- a range
        "",
        paragraph(
            f"""Both tables of an empty day; build: stage, validate, publish, record. Neighbours: what the days before
            and after have each, of the day's sessions. Peer: one query a table, the sessions joined to the events;
            equal data, after finalizeAggregation. Floor: the day's page views, sessions and one page view of each
            session grouped and inserted, nothing else. Wall time against the floor:
            {_wall(ways["build"]).over(_wall(ways["floor"])).times}."""
        ),
        "  "
        + verdict(
            f"at most {TARGET_OF_FLOOR} ×",
            f"{of_floor.times} the floor's CPU",
            is_met=of_floor.median <= TARGET_OF_FLOOR,
        ),
    ]
    if pairs:
        built = [one for one, _ in pairs]
        for what, ratio in (
            ("CPU", _cpu(ways["peer"]).over(_cpu(built))),
            ("events per second", _wall(ways["peer"]).over(_wall(built))),
        ):
            target = f"at least {size.times:.0f} ×"
            lines.append(
                "  "
                + verdict(target, f"{ratio.times} better than the peer in {what}", is_met=ratio.median >= size.times)
            )
    return "\n".join(lines)


def _wall(runs: Sequence[Run]) -> Spread:
    return Spread(tuple(run.seconds for run in runs))


def _cpu(runs: Sequence[Run]) -> Spread:
    return Spread(tuple(run.cpu_seconds for run in runs))


def build(client: Client, teams: Sequence[int] = range(1, TEAMS + 1)) -> None:
    """Build the day for these teams, in both tables."""
    DayBuild(
        client=client,
        day=DAY,
        teams_by_table=dict.fromkeys(TABLES, teams),
        tables=WEB_TABLES,
        run_id=uuid4().hex,
        limits=build_limits(read_settings({})),
        progress=lambda _message: None,
    ).run()


def _peer(client: Client) -> None:
    sql = Sql("dags.bench", client)
    for peer in PEERS.values():
        sql.command(peer, {"day": DAY, "teams": list(_teams())}, target=peer)


def _floor(client: Client) -> None:
    sql = Sql("dags.bench", client)
    bound = {"day": DAY, "teams": list(_teams())}
    sql.command("floor_sessions", bound, sessions="floor_sessions")
    for floor in FLOORS.values():
        sql.command(floor, bound, target=floor)
    client.command("DROP TABLE floor_sessions SYNC")


def _teams() -> range:
    return range(1, TEAMS + 1)


def _require_equal(sql: Sql) -> None:
    for target, peer in PEERS.items():
        [ours], [theirs] = (sql.rows(DIGESTS[target], target=name) for name in (target, peer))
        if ours != theirs or not ours[0]:
            raise UnequalError(f"{target} holds {ours[0]:,} groups and its peer {theirs[0]:,}, or they differ inside")
