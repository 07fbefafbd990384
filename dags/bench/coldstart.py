"""A first look where nothing is built yet, or a table was dropped: everything is missing, and a tick has a minute.

On a server, whose log tells what a statement needed; each world in a database and a process of its own.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dags.bench.child import environment, in_child
from dags.bench.detecting import suspects_by_ranges
from dags.bench.figures import MEBIBYTE, Beside, Spread, Told, Within, paragraph, table, verdict
from dags.bench.filling import TODAY, World, fill_events, new_database
from dags.clickhouse.leases.store import Leases, read_leases
from dags.clickhouse.sql import Sql
from dags.tests.clickhouse_server import running_server
from dags.web_preaggregated.tables import STATS, WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.tests.clickhouse_server import ServerAddress


@dataclass(frozen=True)
class Size:
    """The worlds of a first look, the first of which has targets; how many units are compared; how many leases."""

    worlds: tuple[World, ...]
    compared: World
    leases: int
    ticks: int


def _world(teams: int, days: int) -> World:
    return World(teams=teams, days=days, events_per_unit=1, one_in=1)


FULL = Size((_world(20_000, 30), _world(10_000, 30), _world(2_000, 90)), _world(100_000, 30), 1_000, 10)
QUICK = Size((_world(20, 4), _world(10, 4), _world(5, 6)), _world(50, 4), 5, 10)

TARGET_SECONDS = 50.0
TARGET_MEBIBYTES = 500
TARGET_SERVER_MEBIBYTES = 1024
TARGET_OF_ENGINE = 3.0
TARGET_BYTES_A_UNIT = 200
TARGET_CONFIG_BYTES = 10_000
TARGET_LEASE_SECONDS = 2.0


def coldstart(*, quick: bool, progress: Callable[[str], None]) -> Iterator[Told]:
    """Yield the text of the figures, part by part, and their lines."""
    size = QUICK if quick else FULL
    with tempfile.TemporaryDirectory() as name, running_server(Path(name) / "server") as server:
        looks = [_looked(server, Path(name), world, size.ticks, progress) for world in size.worlds]
        yield _looks_text(size.worlds, looks)
        yield from _beside(size.worlds[0], looks[0])
        yield _compared_text(size.compared, *_compared(server, size.compared, progress))
        yield _leases_text(size.leases, _leases(server, size.leases, progress))


def _looked(
    server: ServerAddress, directory: Path, world: World, ticks: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    name = f"cold_{world.teams}_{world.days}"
    with new_database(server, name) as client:
        fill_events(client, world, progress)
        variables = environment(directory / "home", server.dsn(name))
        variables["WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS"] = str(world.days)
        found: dict[str, Any] = in_child("looking.measure", variables, ticks=ticks)
        found["suspects_bytes"], _ = _suspects_memory(client)
        progress(f"{world.teams:,} × {world.days}: {found['seconds'][0]:.1f} s, {found['requests']} requests")
    return found


def _beside(world: World, look: dict[str, Any]) -> Iterator[Told]:
    figure = f"{world.units / 1e6:.1f} M units missing"
    ours, floor = (Spread((look[name],)) for name in ("cpu", "cpu_in_engine"))
    yield Beside(f"{figure}, decided, CPU", ours, "engine", floor, TARGET_OF_ENGINE)
    yield Within(f"{figure}, in Python", Spread((look["peak_bytes"] / MEBIBYTE,)), TARGET_MEBIBYTES, "MiB")


def _suspects_memory(client: Client) -> tuple[int, int]:
    client.command("SYSTEM FLUSH LOGS query_log")
    [(peak, statements)] = Sql("dags.bench", client).rows("suspects_memory")
    return int(peak), int(statements)


def _compared(server: ServerAddress, world: World, progress: Callable[[str], None]) -> tuple[float, int, int]:
    """Seconds, server memory and number of the statements that compare a whole window."""
    with new_database(server, "cold_compared") as client:
        fill_events(client, world, progress)
        progress(f"comparing {world.units:,} units")
        started = time.perf_counter()
        found = suspects_by_ranges(client, world.days, world.teams)
        seconds = time.perf_counter() - started
        if found != world.units:
            raise AssertionError(f"{world.units:,} units are missing, but {found:,} are suspected")
        return seconds, *_suspects_memory(client)


def _leases(server: ServerAddress, count: int, progress: Callable[[str], None]) -> Spread:
    progress(f"{count:,} leases")
    with (
        new_database(server, "cold_leases") as client,
        Leases(client, "bench", wait_seconds=0, tell=lambda _: None) as leases,
    ):
        for number in range(count):
            leases.take(STATS.name, TODAY - timedelta(days=number))
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            if len(read_leases(client)) != count:
                raise AssertionError("not all leases are read")
            seconds.append(time.perf_counter() - started)
        return Spread(tuple(seconds))


def _looks_text(worlds: Sequence[World], looks: Sequence[dict[str, Any]]) -> str:
    first = looks[0]
    peak = first["peak_bytes"] / MEBIBYTE
    a_unit = max(one["bytes_held"] / max(one["wrong"], 1) for one in looks)
    config = max(one["config_bytes"] for one in looks)
    lines = [
        [
            f"{world.teams:,} × {world.days}",
            f"{one['seconds'][0]:.1f} s",
            f"{world.days - one['unverified'][0]}",
            f"{len(one['seconds'])}",
            f"{one['wrong']:,}",
            f"{one['requests']}",
            f"{one['peak_bytes'] / MEBIBYTE:,.0f}",
            f"{one['suspects_bytes'] / MEBIBYTE:,.0f}",
        ]
        for world, one in zip(worlds, looks, strict=True)
    ]
    head = ["teams × days", "first tick", "days judged", "ticks", "wrong", "requests", "MiB, Python", "MiB, server"]
    return "\n".join(
        [
            "a first look, with everything missing",
            "",
            table(head, lines),
            "",
            paragraph(
                f"""Ticks until every day is judged, none of whose runs is made. Python's memory is the process's, with
                {first["bytes_before"] / MEBIBYTE:,.0f} MiB before it begins; the server's that of its largest
                comparison."""
            ),
            *(
                "  " + line
                for line in (
                    verdict(
                        f"under {TARGET_SECONDS:.0f} s",
                        f"the first tick of the largest takes {first['seconds'][0]:.1f} s",
                        is_met=first["seconds"][0] < TARGET_SECONDS,
                    ),
                    verdict(
                        "a request from the first",
                        f"at least {min(one['requests'] for one in looks)} requests",
                        is_met=all(one["requests"] for one in looks),
                    ),
                    verdict(
                        f"under {TARGET_MEBIBYTES:,} MiB",
                        f"its process holds at most {peak:,.0f} MiB",
                        is_met=peak < TARGET_MEBIBYTES,
                    ),
                    verdict(
                        f"at most {TARGET_BYTES_A_UNIT} bytes",
                        f"a wrong unit is held in {a_unit:,.0f} bytes",
                        is_met=a_unit <= TARGET_BYTES_A_UNIT,
                    ),
                    verdict(
                        f"under {TARGET_CONFIG_BYTES:,} bytes",
                        f"a run's configuration has {config:,} bytes",
                        is_met=config < TARGET_CONFIG_BYTES,
                    ),
                )
            ),
        ]
    )


def _compared_text(world: World, seconds: float, peak_bytes: int, statements: int) -> str:
    peak = peak_bytes / MEBIBYTE
    return "\n".join(
        [
            f"the comparison: {world.teams:,} teams × {world.days} days × {len(WEB_TABLES)} tables, all missing",
            "",
            paragraph(f"{world.units:,} units in {seconds:.1f} s, {statements} ranges of days, the newest first."),
            "  "
            + verdict(
                f"under {TARGET_SERVER_MEBIBYTES:,} MiB",
                f"the server needs at most {peak:,.0f} MiB",
                is_met=peak < TARGET_SERVER_MEBIBYTES,
            ),
        ]
    )


def _leases_text(count: int, seconds: Spread) -> str:
    return "\n".join(
        [
            f"the leases: {count:,} of them, read at once",
            "",
            "  "
            + verdict(
                f"under {TARGET_LEASE_SECONDS:.0f} s",
                f"reading them takes {seconds.seconds}",
                is_met=seconds.median < TARGET_LEASE_SECONDS,
            ),
        ]
    )
