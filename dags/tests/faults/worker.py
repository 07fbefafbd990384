"""The process that builds, and to which the faults happen. It says at which step it is, and is told to go on."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest import mock

from dags.clickhouse import failures
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.leases import rules, store
from dags.domain import clock
from dags.publish.build import DayBuild
from dags.tests.builds import LIMITS
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date, timedelta
    from multiprocessing.connection import Connection

    from dags.publish.moments import Moment

# Time is made to pass faster, so that a trial takes a second: the dead are found out after one, not after sixty.
DEAD_AFTER_SECONDS = 1.0
BEAT_SECONDS = 0.2
POLL_SECONDS = 0.05
FIRST_WAIT_SECONDS = 0.1


@contextmanager
def hurried() -> Iterator[None]:
    """Let this process wait less for everything."""
    # A connection that breaks is what is wanted here; the driver would tell of each.
    driver = logging.getLogger("clickhouse_connect")
    level = driver.level
    driver.setLevel(logging.CRITICAL)
    with (
        mock.patch.object(rules, "DEAD_AFTER_SECONDS", DEAD_AFTER_SECONDS),
        mock.patch.object(store, "BEAT_SECONDS", BEAT_SECONDS),
        mock.patch.object(store, "POLL_SECONDS", POLL_SECONDS),
        mock.patch.object(failures, "FIRST_WAIT_SECONDS", FIRST_WAIT_SECONDS),
    ):
        yield
    driver.setLevel(level)


def work(
    asked: Connection, dsn_text: str, run_id: str, day: date, teams_by_table: Mapping[str, tuple[int, ...]]
) -> None:
    """Build a day; say at each step where it is, and wait for leave. Ends with what the build says of itself."""
    real = clock.utc_now

    def at(step: Moment) -> None:
        asked.send(str(step))
        jump: timedelta | None = asked.recv()
        if jump is not None:
            clock.utc_now = lambda: real() + jump

    try:
        with hurried(), open_client(Dsn.parse(dsn_text), wait_seconds=5, answer_seconds=20) as client:
            built = DayBuild(
                client, day, teams_by_table, run_id, LIMITS, tables=WEB_TABLES, wait_seconds=20, at=at
            ).run()
        asked.send(("; ".join(built.problems) or "built",))
    except Exception as error:  # noqa: BLE001 -- whatever it is, the trial is told
        asked.send((f"{type(error).__name__}: {error}",))
