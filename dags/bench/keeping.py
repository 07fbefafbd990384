"""The measured side of `dags.bench.retention`: what ticks, evaluations and runs leave in Dagster's storage on disk,
SQLite or PostgreSQL, and what retention leaves of it. Runs in a child.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from itertools import count, cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from dagster import DagsterInstance
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus

from dags.dagster_runs.tags import DAILY_RUN_TAG
from dags.definitions import defs
from dags.demo.loop import Loop
from dags.domain.clock import utc_now
from dags.retention.events import forget_events
from dags.retention.runs import Ours, forget_runs

if TYPE_CHECKING:
    from collections.abc import Callable

# What a run leaves depends on its job: of those that the timetable launches, the two kinds there are.
BUILD, COMMAND = "web_pre_aggregate_job", "sweep_backups_job"

# What a sensor that has nothing to do says, as the daemon keeps it.
_SKIPPED = {
    "web_analytics_dead_runs_sensor": "no run's process is dead",
    "web_analytics_files_sensor": "no ingestion is due",
}


def measure(*, days: int, each: int, ticks: int, postgres: str) -> dict[str, Any]:
    """Bytes and rows of one of each kind, on average; and what retention does to all of them, and in how many seconds.

    ``days`` are built ``each`` times over; ``ticks`` are written. ``postgres``: the DSN of the database where the
    instance keeps all this; empty for SQLite.
    """
    with DagsterInstance.get() as instance:
        loop, home = Loop(instance), Path(instance.root_directory)

        def left() -> dict[str, float]:
            return _left(home) | (_left_in_postgres(postgres) if postgres else _left_in_sqlite(home))

        today = utc_now().date()
        built = cycle([today - timedelta(days=number) for number in range(1, days + 1)])
        loop.tick()  # makes the files, and counts what was never counted

        def of(times: int, make: Callable[[], object]) -> dict[str, float]:
            before = left()
            for _ in range(times):
                make()
            return {name: (size - before.get(name, 0)) / times for name, size in left().items()}

        numbers = count()
        found = {
            "tick": of(ticks, lambda: _tick(instance, next(numbers))),
            "evaluation": of(days * each, loop.tick),
            "build": of(days * each, lambda: _run(loop, BUILD, partition_key=next(built).isoformat())),
            "command": of(days * each, lambda: _run(loop, COMMAND)),
        }
        before, runs, started = left(), instance.get_runs_count(), time.monotonic()
        soon = utc_now() + timedelta(minutes=1)
        ours = Ours(frozenset({BUILD, COMMAND}), frozenset(defs.resolve_asset_graph().get_all_asset_keys()))
        gone = forget_runs(instance, ours, soon, (), most=10**6, until=time.monotonic() + 3600, dry_run=False)
        events = forget_events(instance, ours.assets, soon, dry_run=False)
        return {
            **found,
            "retention": {
                "runs": runs,
                "gone": gone.gone,
                "stay": gone.stay.total(),
                "events": events.events,
                "checks": events.checks,
                "seconds": time.monotonic() - started,
                "before": sum(before[name] for name in before if name.startswith("bytes")),
                "after": sum(size for name, size in left().items() if name.startswith("bytes")),
            },
        }


def _run(loop: Loop, job: str, **options: Any) -> None:  # noqa: ANN401 -- Dagster's own options
    if not loop.run(job, tags={DAILY_RUN_TAG: "true"} if job == BUILD else {}, **options).success:
        raise AssertionError(f"{job} failed")


def _tick(instance: DagsterInstance, number: int) -> None:
    """A tick with nothing to do, as the daemon begins it and ends it."""
    name = list(_SKIPPED)[number % len(_SKIPPED)]
    origin, started = f"{name}-{'0' * 40}", TickStatus.STARTED
    tick = instance.create_tick(
        TickData(origin, name, InstigatorType.SENSOR, started, time.time(), selector_id=origin[-40:])
    )
    skipped = tick.with_status(TickStatus.SKIPPED, end_timestamp=time.time()).with_reason(_SKIPPED[name])
    instance.update_tick(skipped)


def _left(home: Path) -> dict[str, float]:
    """Bytes of files on disk, by what they are of: what SQLite has not moved into its files yet is moved first."""
    found = dict.fromkeys(("bytes of ticks", "bytes of runs", "bytes of events", "bytes of logs", "files"), 0.0)
    for path in [*home.rglob("*.db"), *home.rglob("*/.db")]:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for directory, _, names in os.walk(home):
        for name in names:
            path = Path(directory) / name
            kind = _kind(path.relative_to(home).parts)
            found[f"bytes of {kind}"] += path.stat().st_blocks * 512
            found["files"] += 1
    return found


def _left_in_sqlite(home: Path) -> dict[str, float]:
    """Rows, by table."""
    found = {}
    for table, database in (("job_ticks", "schedules/schedules.db"), ("runs", "history/runs.db"), *_OF_EVENTS):
        with closing(sqlite3.connect(home / database)) as connection:
            found[f"rows of {table}"] = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 -- ours
    return found


_OF_EVENTS = (("event_logs", "history/runs/index.db"), ("asset_check_executions", "history/runs/index.db"))


def _left_in_postgres(dsn: str) -> dict[str, float]:
    """Bytes of tables with their indexes, by what they are of, and rows; the room of rows that went is free before."""
    found = {f"bytes of {kind}": 0.0 for kind in ("ticks", "runs", "events")}
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        sizes = (
            "SELECT tablename, pg_total_relation_size(tablename::regclass) FROM pg_tables WHERE schemaname = 'public'"
        )
        for table, size in connection.execute(sizes):
            found[f"bytes of {_OF_TABLES.get(table, 'runs')}"] += size
        for table in ("job_ticks", "runs", "event_logs", "asset_check_executions"):
            [(rows,)] = connection.execute(f"SELECT count(*) FROM {table}".encode())  # noqa: S608 -- ours
            found[f"rows of {table}"] = rows
    return found


# What of Dagster's tables is not of runs.
_OF_TABLES = dict.fromkeys(("jobs", "instigators", "job_ticks", "asset_daemon_asset_evaluations"), "ticks")
_OF_TABLES |= dict.fromkeys(("event_logs", "asset_keys", "asset_event_tags", "asset_check_executions"), "events")


def _kind(parts: tuple[str, ...]) -> str:
    """Of what a file is that lies there in Dagster's home."""
    if parts[0] == "schedules":
        return "ticks"
    if parts[:2] == ("history", "runs"):
        return "events"
    return "runs" if parts[0] == "history" else "logs"
