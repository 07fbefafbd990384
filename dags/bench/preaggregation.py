"""The build of a day against the straightforward pair of queries: events per second and peak memory."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.bench.figures import MEBIBYTE, Spread, paragraph, table, verdict
from dags.bench.traffic import load_day
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

TARGET = 2.0

# ClickHouse's own, from ErrorCodes.cpp. The peer takes about 1 GiB for a million events (measured).
MEMORY_LIMIT_EXCEEDED = 241


@dataclass(frozen=True)
class Size:
    """How many events, and how often each way is run on them."""

    events: int
    rounds: int


SIZES = (Size(1_000_000, 5), Size(10_000_000, 3))
QUICK = (Size(30_000, 2),)


@dataclass(frozen=True)
class Run:
    """One way of filling both tables, measured once."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


class UnequalError(AssertionError):
    """The two ways differ in their results, so that nothing else about them is worth comparing."""


def preaggregation(*, quick: bool, progress: Callable[[str], None]) -> Iterator[str]:
    """Yield the text of the figures, size by size."""
    with tempfile.TemporaryDirectory() as directory, running_server(Path(directory)) as server:
        for size in QUICK if quick else SIZES:
            dsn = Dsn.parse(server.dsn(f"bench_{size.events}"))
            with open_client(dsn, wait_seconds=60, create_database=True) as client:
                yield _measured(client, size, progress)
                client.command(f"DROP DATABASE {dsn.database} SYNC")


def _measured(client: Client, size: Size, progress: Callable[[str], None]) -> str:
    apply_schema(client, WEB_TABLES)
    progress(f"loading {size.events:,} events")
    events = load_day(client, DAY, TEAMS, size.events)
    sql = Sql("dags.bench", client)
    for target, copy in PEERS.items():
        sql.command("create_peer", peer=copy, target=target)
    pairs: list[tuple[Run, Run]] = []
    out_of_memory = 0
    for number in range(1, size.rounds + 1):
        build = measured(client, _build)
        progress(f"{events:,} events, round {number} of {size.rounds}: build {build.seconds:.2f} s")
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
            pairs.append((build, peer))
        # Into empty tables each time, and no merge of these in the background of the next.
        for name in (*TABLES, *PEERS.values()):
            client.command(f"TRUNCATE TABLE {name} SYNC")
    if not pairs:
        return f"pre-aggregation of a day: {events:,} events\n\n  NO FIGURE  the peer always ran out of memory"
    text = _text(events, str(client.server_version), [one for one, _ in pairs], [one for _, one in pairs])
    return text + (f"\n  In {out_of_memory} more rounds the peer ran out of memory." if out_of_memory else "")


def _text(events: int, version: str, build: Sequence[Run], peer: Sequence[Run]) -> str:
    seconds, peer_seconds = (Spread(tuple(run.seconds for run in runs)) for runs in (build, peer))
    cpu, peer_cpu = (Spread(tuple(run.cpu_seconds for run in runs)) for runs in (build, peer))
    peak, peer_peak = (max(run.peak_bytes for run in runs) for runs in (build, peer))
    ratio = peer_seconds.over(seconds)
    rows = [
        [
            name,
            wall.seconds,
            f"{events / wall.median:,.0f}",
            f"{work.median:.1f} s",
            f"{most / MEBIBYTE:,.0f} MiB",
        ]
        for name, wall, work, most in (("build", seconds, cpu, peak), ("peer", peer_seconds, peer_cpu, peer_peak))
    ]
    return "\n".join(
        [
            f"pre-aggregation of a day: {events:,} events of {TEAMS:,} teams, server {version}",
            "",
            table(["way", "seconds (min–max)", "events/s", "CPU", "peak memory"], rows),  # noqa: RUF001 -- a range
            "",
            paragraph(
                f"""Both tables of an empty day; build: stage, validate, publish, record. Peer: one query a table, the
                sessions joined to the events. Equal data, after finalizeAggregation. In CPU, which other work on the
                machine disturbs less: {peer_cpu.over(cpu).times}. Memory: {peak / peer_peak:.2f} of the peer's."""
            ),
            "  "
            + verdict(
                f"at least {TARGET:.0f} ×",
                f"{ratio.times} the peer's events per second",
                is_met=ratio.median >= TARGET,
            ),
        ]
    )


def measured(client: Client, build: Callable[[Client], None]) -> Run:
    """What it takes: by this process's clock, and by the server's own log of the statements."""
    mark = f"bench-{uuid4().hex}"
    client.set_client_setting("log_comment", mark)
    started = time.perf_counter()
    try:
        build(client)
        seconds = time.perf_counter() - started
    finally:
        client.set_client_setting("log_comment", "")
    client.command("SYSTEM FLUSH LOGS query_log")
    [(peak, cpu, _)] = Sql("dags.bench", client).rows("statement_cost", {"way": mark})
    return Run(seconds, float(cpu), int(peak))


def _build(client: Client) -> None:
    settings = read_settings({})
    DayBuild(
        client=client,
        day=DAY,
        teams_by_table=dict.fromkeys(TABLES, _teams()),
        tables=WEB_TABLES,
        run_id=uuid4().hex,
        limits=build_limits(settings),
        progress=lambda _message: None,
    ).run()


def _peer(client: Client) -> None:
    sql = Sql("dags.bench", client)
    for peer in PEERS.values():
        sql.command(peer, {"day": DAY, "teams": list(_teams())}, target=peer)


def _teams() -> range:
    return range(1, TEAMS + 1)


def _require_equal(sql: Sql) -> None:
    for target, peer in PEERS.items():
        [ours], [theirs] = (sql.rows(DIGESTS[target], target=name) for name in (target, peer))
        if ours != theirs or not ours[0]:
            raise UnequalError(f"{target} holds {ours[0]:,} groups and its peer {theirs[0]:,}, or they differ inside")
