"""Rebuilding one team of a day against rebuilding the day: what is read of `events`, and how long it takes.

On a server, for the embedded engine tells no rows read. All teams are alike, the events of each day lie in one part,
and the day is built before anything is measured, so that both ways replace what is there.
"""

from __future__ import annotations

import tempfile
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from dags.bench.figures import Beside, Spread, Told, paragraph, table, verdict
from dags.bench.filling import TODAY, World, fill_events
from dags.bench.measuring import Run, measured
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.sql import Sql
from dags.publish.batches import build_limits
from dags.publish.build import DayBuild
from dags.settings import read_settings
from dags.tests.clickhouse_server import running_server
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

WORLD = World(teams=1_000, days=3, events_per_unit=2_000, one_in=1)
QUICK_WORLD = World(teams=20, days=3, events_per_unit=100, one_in=1)
ROUNDS, QUICK_ROUNDS = 5, 1

# A session may begin a day before its page views and end a day after: the day in the middle has both neighbours.
DAY = TODAY - timedelta(days=2)

TARGET_TIMES = 30.0
TARGET_ROWS_OF_FLOOR = 3.0
TARGET_CPU_OF_DAY = 0.05

THE_DAY, ONE_TEAM, FLOOR = "the day", "one team", "its events, read once"


def repair(*, quick: bool, progress: Callable[[str], None]) -> Iterator[Told]:
    """Yield the text of the figures, and their lines."""
    world, rounds = (QUICK_WORLD, QUICK_ROUNDS) if quick else (WORLD, ROUNDS)
    team = world.teams // 2
    ways: dict[str, Callable[[Client], object]] = {
        THE_DAY: partial(_build, teams=range(1, world.teams + 1)),
        ONE_TEAM: partial(_build, teams=range(team, team + 1)),
        FLOOR: partial(_read, team=team),
    }
    with tempfile.TemporaryDirectory() as name, running_server(Path(name) / "server") as server:
        dsn = Dsn.parse(server.dsn("repair"))
        with open_client(dsn, wait_seconds=60, create_database=True) as client:
            fill_events(client, world, progress)
            ways[THE_DAY](client)
            runs: dict[str, list[Run]] = {way: [] for way in ways}
            for number in range(1, rounds + 1):
                for way, work in ways.items():
                    run = measured(client, work)
                    runs[way].append(run)
                    progress(f"round {number}: {way} {run.seconds:.2f} s, {run.event_rows:,} rows")
    yield _text(world, runs)
    rows, cpu = ({way: _spread(taken, fact) for way, taken in runs.items()} for fact in ("event_rows", "cpu_seconds"))
    figure = f"1 of {world.teams:,} teams rebuilt"
    yield Beside(f"{figure}, rows", rows[ONE_TEAM], "floor", rows[FLOOR], TARGET_ROWS_OF_FLOOR, "")
    yield Beside(f"{figure}, CPU", cpu[ONE_TEAM], "the day", cpu[THE_DAY], TARGET_CPU_OF_DAY)


def _spread(runs: Sequence[Run], fact: str) -> Spread:
    return Spread(tuple(getattr(run, fact) for run in runs))


def _read(client: Client, team: int) -> None:
    Sql("dags.bench", client).rows("floor_team", {"day": DAY, "team": team})


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


def _text(world: World, runs: Mapping[str, Sequence[Run]]) -> str:
    spreads, cpu, read = (
        {way: _spread(taken, fact) for way, taken in runs.items()} for fact in ("seconds", "cpu_seconds", "event_rows")
    )
    fewer = read[THE_DAY].over(read[ONE_TEAM])
    faster = spreads[THE_DAY].over(spreads[ONE_TEAM])
    return "\n".join(
        [
            f"repair: one of {world.teams:,} equal teams against the day, {world.events_per_unit:,} events each",
            "",
            table(
                ["what is rebuilt", "seconds (min–max)", "CPU", "rows read of events"],  # noqa: RUF001 -- a range
                [[way, spreads[way].seconds, f"{cpu[way].median:.2f} s", f"{read[way].median:,.0f}"] for way in runs],
            ),
            "",
            paragraph(
                f"""Both validate the whole day before the swap and read it back after, other teams included. One team
                takes {faster.times} less time. It has {3 * world.events_per_unit:,} events of three days, and the
                engine reads granules of 8,192. CPU is the server's."""
            ),
            "  "
            + verdict(
                f"at least {TARGET_TIMES:.0f} ×",
                f"one team reads {fewer.median:,.0f} × less of events",
                is_met=fewer.median >= TARGET_TIMES,
            ),
        ]
    )
