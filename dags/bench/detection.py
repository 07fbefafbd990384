"""Detection against the number of rows and of units: what it reads, how long it takes, how much memory it needs.

What it reads is measured in `presence`; here the whole detection with its decision, in a process of its own. On a
server, for the embedded engine tells no rows read.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dags.bench.child import environment, in_child
from dags.bench.figures import MEBIBYTE, Spread, paragraph, table, verdict
from dags.bench.filling import World, fill_source, fill_stats, new_database
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
TARGET_AGAIN = 0.2


def detection(*, quick: bool, progress: Callable[[str], None]) -> Iterator[str]:
    """Yield the text of the figures, part by part."""
    with tempfile.TemporaryDirectory() as name, running_server(Path(name) / "server") as server:
        with new_database(server, "rows") as client:
            yield from presence_and_signals(client, quick=quick, progress=progress)
        world, rounds = (QUICK_UNITS, QUICK_ROUNDS) if quick else (UNITS, ROUNDS)
        yield _whole_text(
            world, [_whole(server, Path(name), world, number, progress) for number in range(1, rounds + 1)]
        )


def _whole(
    server: ServerAddress, directory: Path, world: World, number: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """One round on a new database: what a first detection leaves there must not help the next round's first."""
    name = f"units_{number}"
    with new_database(server, name) as client:
        fill_source(client, world, progress)
        fill_stats(client, world, 1, progress)
        variables = environment(directory / "home", server.dsn(name))
        found: dict[str, Any] = in_child("detecting.measure", variables, days=world.days)
        progress(f"round {number}: {found['detect']:.2f} s and again {found['again']:.2f} s, {found['wrong']:,} wrong")
        return found


def _whole_text(world: World, taken: Sequence[dict[str, Any]]) -> str:
    detect, decide, again, queries = (
        Spread(tuple(one[name] for one in taken)) for name in ("detect", "decide", "again", "in_queries")
    )
    both = Spread(tuple(one["detect"] + one["decide"] for one in taken))
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
