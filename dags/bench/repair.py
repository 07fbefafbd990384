"""Rebuilding one team of a day against rebuilding the day: what is read of `events`, and how long it takes.

On a server, for the embedded engine tells no rows read. All teams are alike, the events of each day lie in one part,
and the day is built before anything is measured, so that both ways replace what is there.
"""

from __future__ import annotations

import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from dags.bench.figures import Spread, paragraph, table, verdict
from dags.bench.filling import TODAY, World, fill_events
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.sql import Sql
from dags.publish.batches import build_limits
from dags.publish.build import DayBuild
from dags.settings import read_settings
from dags.tests.clickhouse_server import running_server
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

WORLD = World(teams=1_000, days=3, events_per_unit=2_000, one_in=1)
QUICK_WORLD = World(teams=20, days=3, events_per_unit=100, one_in=1)
ROUNDS, QUICK_ROUNDS = 5, 1

# A session may begin a day before its page views and end a day after: the day in the middle has both neighbours.
DAY = TODAY - timedelta(days=2)

TARGET_TIMES = 30.0


def repair(*, quick: bool, progress: Callable[[str], None]) -> Iterator[str]:
    """Yield the text of the figures."""
    world, rounds = (QUICK_WORLD, QUICK_ROUNDS) if quick else (WORLD, ROUNDS)
    with tempfile.TemporaryDirectory() as name, running_server(Path(name) / "server") as server:
        dsn = Dsn.parse(server.dsn("repair"))
        with open_client(dsn, wait_seconds=60, create_database=True) as client:
            fill_events(client, world, progress)
            cases = {"the day": range(1, world.teams + 1), "one team": range(world.teams // 2, world.teams // 2 + 1)}
            _build(client, cases["the day"])
            seconds: dict[str, list[float]] = {case: [] for case in cases}
            rows: dict[str, list[float]] = {case: [] for case in cases}
            for number in range(1, rounds + 1):
                for case, teams in cases.items():
                    took, read = _measured(client, teams)
                    seconds[case].append(took)
                    rows[case].append(read)
                    progress(f"round {number}: {case} {took:.2f} s, {read:,} rows")
    yield _text(world, seconds, rows)


def _build(client: Client, teams: range) -> None:
    built = DayBuild(
        client=client,
        day=DAY,
        teams_by_table={declared.name: teams for declared in WEB_TABLES},
        tables=WEB_TABLES,
        run_id=uuid4().hex,
        limits=build_limits(read_settings({})),
        progress=lambda _message: None,
    ).run()
    if built.problems:
        raise RuntimeError(f"the build failed: {built.problems}")


def _measured(client: Client, teams: range) -> tuple[float, int]:
    """Seconds of one rebuild, and rows read by its statements that read `events`."""
    mark = f"bench {uuid4().hex}"
    client.set_client_setting("log_comment", mark)
    started = time.monotonic()
    try:
        _build(client, teams)
    finally:
        took = time.monotonic() - started
        client.set_client_setting("log_comment", "")
    client.command("SYSTEM FLUSH LOGS query_log")
    [(rows, _)] = Sql("dags.bench", client).rows("events_read", {"way": mark})
    return took, int(rows)


def _text(world: World, seconds: dict[str, list[float]], rows: dict[str, list[float]]) -> str:
    spreads = {case: Spread(tuple(taken)) for case, taken in seconds.items()}
    read = {case: Spread(tuple(taken)) for case, taken in rows.items()}
    fewer = read["the day"].over(read["one team"])
    faster = spreads["the day"].over(spreads["one team"])
    return "\n".join(
        [
            f"repair: one of {world.teams:,} equal teams against the day, {world.events_per_unit:,} events each",
            "",
            table(
                ["what is rebuilt", "seconds (min–max)", "rows read of events"],  # noqa: RUF001 -- a range
                [[case, spreads[case].seconds, f"{read[case].median:,.0f}"] for case in spreads],
            ),
            "",
            paragraph(
                f"""Both validate the whole day before the swap and read it back after, other teams included. One team
                takes {faster.times} less time."""
            ),
            "  "
            + verdict(
                f"at least {TARGET_TIMES:.0f} ×",
                f"one team reads {fewer.median:,.0f} × less of events",
                is_met=fewer.median >= TARGET_TIMES,
            ),
        ]
    )
