"""What a year of ticks, evaluations and runs leaves in Dagster's storage, with retention and without: in SQLite, and in
PostgreSQL, which production has.

One of each kind is measured, on a real instance on disk; a year is that times how many there are, which is printed.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dags.bench.child import environment, in_child
from dags.bench.figures import MEBIBYTE, paragraph, table, verdict
from dags.schedules import DEAD_RUNS_INTERVAL_SECONDS, FILES_INTERVAL_SECONDS, SENSOR_INTERVAL_SECONDS
from dags.settings import Settings
from dags.tests.postgres_server import running_postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dags.tests.postgres_server import PostgresServer

TEAMS, DAYS, EVENTS_PER_TEAM_DAY, EACH, TICKS = 100, 5, 50, 4, 2000
QUICK_TEAMS, QUICK_DAYS, QUICK_EACH, QUICK_TICKS = 3, 1, 2, 50

YEAR, YEARS = 365, 3
DAY_SECONDS = 86_400

# What a quiet day has: the timetable's schedules, and the builds of the day and of the one that has closed since.
SCHEDULES, BUILDS = 5, 2
# The list of teams, the sweep, retention itself.
COMMANDS = 3
# How long `.dagster/dagster.yaml` keeps ticks that skipped.
SKIPPED_DAYS = 7

TARGET_MEBIBYTES = 1024

# What becomes of the room of what was forgotten.
_FREED = {
    "SQLite": "The file of each run goes; pages that are free inside of index.db, runs.db and schedules.db are used "
    "again, and these files do not shrink.",
    "PostgreSQL": "Pages that are free are used again after VACUUM, which PostgreSQL does by itself; its files do not "
    "shrink.",
}


@dataclass(frozen=True)
class Kind:
    """A kind of thing that is left: how many a day, and for how many of these days' worth it stays with retention.

    ``staying`` of a day's stay for ever, as the newest build of each day does.
    """

    name: str
    words: str
    a_day: int
    kept_days: int
    staying: int = 0

    def count(self, days: int, *, is_kept: bool) -> int:
        """How many there are after so many days; ``is_kept``: nothing is ever forgotten."""
        if is_kept or days <= self.kept_days:
            return self.a_day * days
        return self.a_day * self.kept_days + self.staying * (days - self.kept_days)


def kinds() -> tuple[Kind, ...]:
    """What a quiet day leaves, by the timetable and the defaults."""
    idle = DAY_SECONDS // DEAD_RUNS_INTERVAL_SECONDS + DAY_SECONDS // FILES_INTERVAL_SECONDS
    kept = int(Settings.model_fields["run_retention_days"].default)
    evaluations = DAY_SECONDS // SENSOR_INTERVAL_SECONDS + 1
    return (
        Kind("tick", "ticks that skip", idle, SKIPPED_DAYS),
        Kind("tick", "other ticks", evaluations + SCHEDULES - 1, kept),
        Kind("evaluation", "evaluations", evaluations, kept),
        Kind("build", "runs that build", BUILDS, kept, staying=1),
        Kind("command", "commands", COMMANDS, kept),
    )


def retention(*, quick: bool, progress: Callable[[str], None]) -> Iterator[str]:
    """Yield the text of the figures."""
    teams, days, each, ticks = (
        (QUICK_TEAMS, QUICK_DAYS, QUICK_EACH, QUICK_TICKS) if quick else (TEAMS, DAYS, EACH, TICKS)
    )
    with tempfile.TemporaryDirectory() as name, running_postgres(Path(name) / "postgres") as postgres:
        variables = environment(Path(name) / "home", f"chdb://{name}/embedded")
        variables |= {"WEB_ANALYTICS_BACKFILL_SETTLE_HOURS": "0", "WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS": str(days)}
        progress(f"building {days} days of {teams} teams")
        in_child("world.make", variables, teams=teams, days=days, events_per_team_day=EVENTS_PER_TEAM_DAY)
        for storage in ("SQLite", "PostgreSQL"):
            of_postgres = {} if storage == "SQLite" else _in_postgres(postgres, Path(variables["DAGSTER_HOME"]))
            progress(f"{storage}: {ticks} ticks, {days * each} evaluations, builds and commands, with what each leaves")
            found = in_child(
                "keeping.measure", variables | of_postgres, days=days, each=each, ticks=ticks,
                postgres=postgres.dsn() if of_postgres else "",
            )  # fmt: skip
            yield _text(storage, teams, found)


def _in_postgres(postgres: PostgresServer, home: Path) -> dict[str, str]:
    """Have the instance keep everything there, from the beginning; what libpq has to know for it."""
    shutil.rmtree(home / "history")
    shutil.rmtree(home / "schedules")
    instance = home / "dagster.yaml"
    storage = "storage:\n  postgres:\n    postgres_url: postgresql+psycopg2://\n"
    instance.write_text(instance.read_text(encoding="utf-8") + storage, encoding="utf-8")
    return {
        "PGHOST": postgres.host,
        "PGPORT": str(postgres.port),
        "PGUSER": postgres.user,
        "PGPASSWORD": postgres.password,
        "PGDATABASE": "postgres",
    }


def _bytes(measured: dict[str, float]) -> float:
    return sum(value for name, value in measured.items() if name.startswith("bytes"))


def _text(storage: str, teams: int, found: dict[str, Any]) -> str:
    done = found["retention"]
    before, after = (f"{done[name] / MEBIBYTE:,.1f} MiB {name}" for name in ("before", "after"))
    columns = ("bytes of ticks", "bytes of runs", "bytes of events", "bytes of logs", "files", "rows of event_logs")
    one = [
        [name, *(f"{found[name][column]:,.1f}" for column in columns)]
        for name in ("tick", "evaluation", "build", "command")
    ]
    rows, totals = [], dict[tuple[int, bool], float]()
    for kind in kinds():
        cells = [kind.words, f"{kind.a_day:,}", f"{_bytes(found[kind.name]):,.0f}"]
        for years in (1, YEARS):
            for is_kept in (True, False):
                count = kind.count(years * YEAR, is_kept=is_kept)
                size = count * _bytes(found[kind.name]) / MEBIBYTE
                totals[years, is_kept] = totals.get((years, is_kept), 0) + size
                cells.append(f"{size:,.0f} ({count:,})")
        rows.append(cells)
    rows.append(["all", "", "", *(f"{totals[y, kept]:,.0f}" for y in (1, YEARS) for kept in (True, False))])
    return "\n".join(
        [
            f"retention: what Dagster's storage keeps, {storage}, {teams} teams",
            "",
            table(["one", *(column.removeprefix("bytes of ") for column in columns[:4]), "files", "event rows"], one),
            "",
            table(["MiB (how many)", "a day", "bytes", "1 year", "kept 400 d", f"{YEARS} years", "kept 400 d "], rows),
            "",
            paragraph(
                f"""A year is bytes times how many a day times {YEAR}: nothing of it but the first table is measured. A
                quiet day: nothing is repaired, no file comes. With retention skipped ticks go after {SKIPPED_DAYS}
                days, by dagster.yaml, as by Dagster's own default; runs, evaluations and other ticks after 400; but of
                each day the run that built it last, which the UI shows. Bytes are blocks on disk, of files and of
                SQLite's pages; in PostgreSQL pages of tables and indexes after VACUUM."""
            ),
            paragraph(
                f"""Retention of what was made here: {done["gone"]:,} of {done["runs"]:,} runs gone,
                {done["stay"]:,} stay, {done["events"]:,} events of no run and {done["checks"]:,} results of checks
                gone, in {done["seconds"]:.1f} s; {before}, {after}. {_FREED[storage]}"""
            ),
            "  "
            + verdict(
                f"at most {TARGET_MEBIBYTES:,} MiB after {YEARS} years with retention",
                f"{totals[YEARS, False]:,.0f} MiB, without {totals[YEARS, True]:,.0f}",
                is_met=totals[YEARS, False] <= TARGET_MEBIBYTES,
            ),
        ]
    )
