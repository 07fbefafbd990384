"""Detection against the number of rows and of units: what it reads, how long it takes, how much memory it needs.

What it reads is measured in `presence`; here the whole detection with its decision, in a process of its own. On a
server, for the embedded engine tells no rows read.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dags.bench.child import environment, in_child
from dags.bench.figures import MEBIBYTE, Beside, Spread, Told, Within, paragraph, table, verdict
from dags.bench.filling import World, fill_source, fill_stats, new_database
from dags.bench.measuring import Run
from dags.bench.presence import presence_and_signals
from dags.tests.clickhouse_server import running_server
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dags.tests.clickhouse_server import ServerAddress

UNITS = World(teams=10_000, days=90, events_per_unit=1, one_in=100)
QUICK_UNITS = World(teams=20, days=4, events_per_unit=1, one_in=10)
ROUNDS, QUICK_ROUNDS = 3, 1

TARGET_SECONDS = 5.0
TARGET_MEBIBYTES = 1024
TARGET_AGAIN = 0.1
TARGET_OF_JOINS = 2.0


def detection(*, quick: bool, progress: Callable[[str], None]) -> Iterator[Told]:
    """Yield the text of the figures, part by part, and their lines."""
    with tempfile.TemporaryDirectory() as name, running_server(Path(name) / "server") as server:
        with new_database(server, "rows") as client:
            yield from presence_and_signals(client, quick=quick, progress=progress)
        world, rounds = (QUICK_UNITS, QUICK_ROUNDS) if quick else (UNITS, ROUNDS)
        taken = [_whole(server, Path(name), world, number, progress) for number in range(1, rounds + 1)]
        yield _whole_text(world, taken)
        yield from _beside(world, taken)


def _whole(
    server: ServerAddress, directory: Path, world: World, number: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """One round on a new database: what a first detection leaves there must not help the next round's first."""
    name = f"units_{number}"
    with new_database(server, name) as client:
        fill_source(client, world, progress)
        fill_stats(client, world, 1, progress)
        variables = environment(directory / "home", server.dsn(name))
        found: dict[str, Any] = in_child("detecting.measure", variables, days=world.days, teams=world.teams)
        runs = {name: Run(**facts) for name, facts in found.pop("runs").items()}
        progress(
            f"round {number}: {runs['detect'].seconds:.2f} s and again {runs['again'].seconds:.2f} s, "
            f"{found['wrong']:,} wrong"
        )
        found["runs"] = runs
        return found


def _of(taken: Sequence[dict[str, Any]], name: str, fact: Callable[[Run], float]) -> Spread:
    return Spread(tuple(fact(one["runs"][name]) for one in taken))


def _beside(world: World, taken: Sequence[dict[str, Any]]) -> Iterator[Told]:
    """CPU of this side and of the server together; the peer's answer has no reason, and nothing but what is missing."""
    cpu = {
        name: _of(taken, name, lambda run: run.cpu_seconds + run.python_seconds)
        for name in ("detect", "again", "joins", "peer", "parts")
    }
    figure = f"{world.units / 1e6:.1f} M units, 1 in {world.one_in} wrong"
    yield Beside(f"{figure}, CPU", cpu["detect"], "floor", cpu["joins"], TARGET_OF_JOINS)
    yield Beside(f"{figure}, CPU", cpu["detect"], "peer", cpu["peer"], None)
    memory = _of(taken, "detect", lambda run: run.peak_bytes / MEBIBYTE)
    yield Within("its largest statement, server", memory, TARGET_MEBIBYTES, "MiB")
    seconds = {name: _of(taken, name, lambda run: run.seconds) for name in ("detect", "again", "parts")}
    yield Beside("nothing changed", seconds["again"], "first", seconds["detect"], TARGET_AGAIN)
    yield Beside("nothing changed, CPU", cpu["again"], "first", cpu["detect"], TARGET_AGAIN)
    yield Beside("nothing changed", seconds["again"], "floor", seconds["parts"], None)


def _whole_text(world: World, taken: Sequence[dict[str, Any]]) -> str:
    decide, queries = (Spread(tuple(one[name] for one in taken)) for name in ("decide", "in_queries"))
    detect, again = (_of(taken, name, lambda run: run.seconds) for name in ("detect", "again"))
    both = Spread(tuple(one["runs"]["detect"].seconds + one["decide"] for one in taken))
    peak, before = (max(one[name] for one in taken) / MEBIBYTE for name in ("peak_bytes", "bytes_before"))
    ratio = again.over(detect)
    last = taken[-1]
    return "\n".join(
        [
            f"the whole detection: {world.teams:,} teams × {world.days} days × {len(WEB_TABLES)} tables",
            "",
            table(
                ["what", "seconds (min–max)", "queries"],  # noqa: RUF001 -- a range
                [
                    ["detection", detect.seconds, f"{last['queries']}"],
                    ["  of it in queries", queries.seconds, ""],
                    ["decision", decide.seconds, ""],
                    ["detection again", again.seconds, f"{last['again_queries']}"],
                ],
            ),
            "",
            paragraph(
                f"""{last["wrong"]:,} of {world.units:,} units are wrong, one in {world.one_in}: never built, or built
                and lost. Everything else agrees with the ledger. The detection again takes {ratio.times} the first.
                A process of its own, with {before:,.0f} MiB before it begins; each round on a new database."""
            ),
            "  "
            + verdict(
                f"under {TARGET_SECONDS:.0f} s",
                f"detection and decision take {both.seconds}",
                is_met=both.median < TARGET_SECONDS,
            ),
            "  "
            + verdict(
                f"under {TARGET_MEBIBYTES:,} MiB",
                f"the process holds at most {peak:,.0f} MiB",
                is_met=peak < TARGET_MEBIBYTES,
            ),
            "  "
            + verdict(
                f"at most {TARGET_AGAIN} ×",
                f"with nothing changed the next takes {ratio.median:.2f} × the first",
                is_met=ratio.median <= TARGET_AGAIN,
            ),
        ]
    )
