"""A database as it is on a quiet day: teams with traffic, every day of it built. Made in a child, see `child`."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from dagster import DagsterInstance

from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.sql import Sql
from dags.demo.traffic.generate import EVENTS_PER_SESSION, Site, Traffic
from dags.demo.traffic.load import load_generated
from dags.domain.clock import utc_now
from dags.publish.batches import build_limits
from dags.publish.build import DayBuild
from dags.settings import current_settings
from dags.team_selection.store import write_selection
from dags.tests.health.daemon import Daemon
from dags.web_preaggregated.tables import WEB_TABLES

SEED = 20260103


def live() -> None:
    """A daemon has just said that it lives, and has evaluated whatever this location serves: all is well."""
    with DagsterInstance.get() as instance:
        Daemon(instance).lives(utc_now())


def make(*, teams: int, days: int, events_per_team_day: int) -> dict[str, int]:
    """Load, select and build; how many rows there are of what.

    Every team has traffic on every day.
    """
    settings, now = current_settings(), utc_now()
    today = now.date()
    sessions = events_per_team_day / EVENTS_PER_SESSION
    traffic = Traffic(
        tuple(Site(team, sessions) for team in range(1, teams + 1)), today - timedelta(days=days), today, SEED
    )
    with open_client(settings.clickhouse_dsn, wait_seconds=60, create_database=True, who="bench") as client:
        apply_schema(client, WEB_TABLES)
        load_generated(client, traffic)
        write_selection(client, range(1, teams + 1))
        for number in range(days, 0, -1):
            DayBuild(
                client=client,
                day=today - timedelta(days=number),
                teams_by_table={table.name: range(1, teams + 1) for table in WEB_TABLES},
                tables=WEB_TABLES,
                run_id=uuid4().hex,
                limits=build_limits(settings),
                progress=lambda _message: None,
            ).run()
        counts = Sql("dags.bench", client).rows("count_rows")
        return {table: int(rows) for table, rows in counts}
