"""What the load is put on: a server with events and both tables of many teams, and a deployment that works on it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING
from unittest import mock
from uuid import uuid4

from dagster import DagsterInstance

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.sql import Sql
from dags.demo.loop import enable
from dags.domain.clock import utc_now
from dags.domain.days import DayRange
from dags.publish.batches import build_limits
from dags.publish.build import DayBuild
from dags.settings import read_settings
from dags.team_selection.store import write_selection
from dags.tests.deploy.production import Production
from dags.tests.faults.server import Server
from dags.tests.postgres_server import running_postgres
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from clickhouse_connect.driver.client import Client


@dataclass(frozen=True)
class Size:
    """How much there is of everything."""

    teams: int
    days: int
    events_per_unit: int

    @property
    def events(self) -> int:
        return self.teams * self.days * self.events_per_unit


@dataclass(frozen=True)
class World:
    """A server, a deployment with an instance of its own, and the days that it looks after."""

    server: Server
    production: Production
    instance: DagsterInstance
    span: DayRange


def made(stack: ExitStack, directory: Path, size: Size, settings: dict[str, str], say: Callable[[str], None]) -> World:
    """All of it, at work; it is gone with the stack. ``settings`` are those of the location, by their variables."""
    server = Server(directory / "clickhouse")
    stack.callback(server.stop)
    today = utc_now().date()
    span = DayRange(today - timedelta(days=size.days), today)
    with open_client(Dsn.parse(server.dsn()), wait_seconds=60, who="load") as client:
        _fill(client, size, span, say)
    postgres = stack.enter_context(running_postgres(directory / "postgres"))
    home = directory / "home"
    home.mkdir()
    own = {
        "WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS": str(size.days),
        # Just after midnight too, yesterday is to be judged; and what a week asks for is asked for within an hour.
        "WEB_ANALYTICS_BACKFILL_SETTLE_HOURS": "0",
        "WEB_ANALYTICS_BACKFILL_MAX_DAYS_PER_DAY": "3650",
        **settings,
    }
    production = Production(home, server.dsn(), postgres, **own)
    stack.callback(production.stop)
    say("the deployment starts")
    if production.begin("apply-schema").wait(120):
        raise RuntimeError(f"the schema is not applied: {production.last_words()}")
    return World(server, production, stack.enter_context(_instance(production)), span)


@contextmanager
def _instance(production: Production) -> Iterator[DagsterInstance]:
    """The deployment's own instance, asked from this process: libpq's variables are in the environment."""
    named = ("HOME", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE")
    with (
        mock.patch.dict(os.environ, {name: production.environment[name] for name in named}),
        DagsterInstance.from_config(str(production.home)) as instance,
    ):
        yield instance


def _fill(client: Client, size: Size, span: DayRange, say: Callable[[str], None]) -> None:
    """Events of every team on every day, made in the engine; then both tables, by the builds that ship."""
    sql = Sql("dags.bench", client)
    enable(client, range(1, size.teams + 1))
    write_selection(client, range(1, size.teams + 1))
    say(f"{size.events:,} events of {size.teams:,} teams and {size.days} days")
    for day in span:
        sql.command("fill_events", {"day": day, "teams": size.teams, "per_unit": size.events_per_unit})
    client.command("OPTIMIZE TABLE events FINAL")
    limits = build_limits(read_settings({}))
    for number, day in enumerate(sorted(span, reverse=True), start=1):
        teams = dict.fromkeys((one.name for one in WEB_TABLES), range(1, size.teams + 1))
        DayBuild(client, day, teams, uuid4().hex, limits, tables=WEB_TABLES).run()
        if number % 10 == 0 or number == size.days:
            say(f"{number} of {size.days} days are built")
    # As it is some hours after the builds, and no merge in the background of what is measured.
    client.command("OPTIMIZE TABLE web_pre_aggregated_builds FINAL")


def lose(world: World, day: date, share: int, shares: int) -> None:
    """A day of both tables is lost, for one team in so many."""
    with open_client(Dsn.parse(world.server.dsn()), wait_seconds=60, who="load") as client:
        for one in WEB_TABLES:
            bound = {"day": day, "share": share, "shares": shares}
            Sql("dags.tests.load", client).command("lose", bound, target=one.name)
