"""The sensor's tick with nothing to do, and its detection against the anti-join over distinct (day, team)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dags.bench.child import environment, in_child
from dags.bench.figures import Beside, Spread, Told, paragraph, table, verdict
from dags.tests.clickhouse_server import running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEAMS, DAYS, EVENTS_PER_TEAM_DAY, ROUNDS = 1000, 30, 50, 7
QUICK_TEAMS, QUICK_DAYS, QUICK_ROUNDS = 10, 2, 1

TARGET_SECONDS = 2.0
TARGET_OF_FLOOR = 1.2


def tick(*, quick: bool, progress: Callable[[str], None]) -> Iterator[Told]:
    """Yield the text of the figures, engine by engine, and the lines of the embedded one."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        found, text = _measured("embedded", f"chdb://{directory}/embedded", directory, quick=quick, progress=progress)
        yield text
        for fact, words in (("seconds", ""), ("cpu", ", CPU")):
            ours, floor = (Spread(tuple(found[name][fact])) for name in ("tick", "floor"))
            yield Beside(f"tick, nothing to do{words}", ours, "SELECT 1", floor, TARGET_OF_FLOOR)
        with running_server(directory / "server") as server:
            yield _measured("server", server.dsn("web_analytics"), directory, quick=quick, progress=progress)[1]


def _measured(
    engine: str, dsn: str, directory: Path, *, quick: bool, progress: Callable[[str], None]
) -> tuple[dict[str, Any], str]:
    teams, days, rounds = (QUICK_TEAMS, QUICK_DAYS, QUICK_ROUNDS) if quick else (TEAMS, DAYS, ROUNDS)
    variables = environment(directory / f"home-{engine}", dsn)
    variables["WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS"] = str(days)
    # Just after midnight too, yesterday is to be judged.
    variables["WEB_ANALYTICS_BACKFILL_SETTLE_HOURS"] = "0"
    progress(f"{engine}: building {days} days of {teams:,} teams")
    rows = in_child("world.make", variables, teams=teams, days=days, events_per_team_day=EVENTS_PER_TEAM_DAY)
    progress(f"{engine}: {rounds} ticks")
    found = in_child("ticking.measure", variables, rounds=rounds)
    if found["complete"] != {table: teams * days for table in rows if table != "events"}:
        raise AssertionError(f"of {teams * days:,} units a table only these are complete: {found['complete']}")
    return found, _text(engine, teams, days, rows, found)


def _text(engine: str, teams: int, days: int, rows: dict[str, int], found: dict[str, Any]) -> str:
    seconds = Spread(tuple(found["tick"]["seconds"]))
    lines = [["whole tick", seconds.seconds, "", ""]]
    for name, words in (("detection", "its detection"), ("peer", "distinct anti-join")):
        part = found[name]
        # The embedded engine tells the rows of the answer in place of the rows read.
        rows_read = f"{part['rows_read']:,}" if engine == "server" else "not told"
        lines.append([words, Spread(tuple(part["seconds"])).seconds, f"{part['engine_seconds']:.2f} s", rows_read])
    floor = Spread(tuple(found["floor"]["seconds"]))
    lines.append(["the engine opened", floor.seconds, "", ""])
    targets = sum(count for name, count in rows.items() if name != "events")
    return "\n".join(
        [
            f"a tick with nothing to do: {teams:,} teams × {days} days, {engine}",
            "",
            table(["what", "seconds (min–max)", "in queries", "rows read"], lines),  # noqa: RUF001 -- a range
            "",
            paragraph(
                f"""{rows["events"]:,} events, {targets:,} rows in both tables, all built and complete. The anti-join
                reads them all, and answers less: not what is stale, partial or in excess."""
                + (
                    " Embedded, each of the four has a process open the engine: a fresh one where nothing is asked, "
                    "else one that was started when the call before it was over, as a code server has it."
                    if engine == "embedded"
                    else ""
                )
            ),
            "  "
            + verdict(
                f"under {TARGET_SECONDS:.0f} s",
                f"a tick takes {seconds.seconds}",
                is_met=seconds.median < TARGET_SECONDS,
            ),
        ]
    )
