"""The process that builds a day on one of several replicas, and to which faults happen.

The one on which a fault falls says at each step and before each statement where it is, and waits for leave.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING
from unittest import mock

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.leases import rules
from dags.clickhouse.leases import store as leases
from dags.clickhouse.replicas import store
from dags.publish.build import DayBuild
from dags.tests.builds import LIMITS
from dags.tests.faults.acting import announced
from dags.tests.faults.worker import hurried
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from datetime import date
    from multiprocessing.connection import Connection

    from dags.publish.moments import Moment

# A sign of life goes to Keeper and back: too often, and a busy machine does little else.
DEAD_AFTER_SECONDS = 3.0
BEAT_SECONDS = 0.5

# How long one waits for a replica to fetch what it lacks, until Keeper gives up one that is silent (longer than the
# sessions of these servers last), for an answer, and for the lease of another build.
SYNC_SECONDS = 0.5
SESSION_SECONDS = 8.0
ANSWER_SECONDS = 4.0
WAIT_SECONDS = 15.0


@contextmanager
def hurried_among_replicas() -> Iterator[None]:
    """Let this process wait less for everything, for other replicas too."""
    with (
        hurried(),
        mock.patch.object(rules, "DEAD_AFTER_SECONDS", DEAD_AFTER_SECONDS),
        mock.patch.object(leases, "BEAT_SECONDS", BEAT_SECONDS),
        mock.patch.object(store, "POLL_SECONDS", 0.1),
        # These stand as defaults of parameters.
        mock.patch.object(store.synced, "__defaults__", (None, SYNC_SECONDS)),
        mock.patch.object(store.lagging, "__defaults__", (SYNC_SECONDS,)),
        mock.patch.dict(store.fenceable.__kwdefaults__, {"wait_seconds": SESSION_SECONDS}),
    ):
        yield


def work(
    asked: Connection,
    dsn_text: str,
    run_id: str,
    day: date,
    teams_by_table: Mapping[str, Collection[int]],
    *,
    is_held: bool,
) -> None:
    """Build a day, and wait for leave at each step if ``is_held``; ends with what it says, as ``(outcome, words)``."""
    try:
        with hurried_among_replicas(), announced(asked) if is_held else nullcontext(_be_silent) as announce:
            problems = build(dsn_text, run_id, day, teams_by_table, at=announce)
        asked.send(("failed" if problems else "built", problems))
    except Exception as error:  # noqa: BLE001 -- whatever it is, the trial is told
        asked.send(("failed", f"{type(error).__name__}: {error}"))


def _be_silent(_: str) -> None:
    """Nobody has asked at which step it is."""


def build(
    dsn_text: str,
    run_id: str,
    day: date,
    teams_by_table: Mapping[str, Collection[int]],
    at: Callable[[Moment], None] = lambda _: None,
) -> str:
    """As a run of a tick's request does; what went wrong, in words."""
    with open_client(Dsn.parse(dsn_text), wait_seconds=5, answer_seconds=ANSWER_SECONDS, who=run_id) as client:
        tables = tuple(table for table in WEB_TABLES if table.name in teams_by_table)
        built = DayBuild(
            client, day, teams_by_table, run_id, LIMITS, tables=tables, wait_seconds=WAIT_SECONDS, at=at
        ).run()
        return "; ".join(built.problems)
