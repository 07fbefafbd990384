"""A world of many units, made in the engine: nothing of it passes through Python, so that 100 M rows take minutes.

Day by day, each a part of its own partition, as the builds leave it. One unit in so many is missing in each table; the
ledger agrees with everything else, so that a detection has nothing else to look at.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.sql import Sql
from dags.domain.days import DayRange
from dags.team_selection.store import write_selection
from dags.web_preaggregated.tables import BOUNCES, STATS, WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

    from dags.tests.clickhouse_server import ServerAddress

# The data ends here whatever the day is on which it is measured, so that the same units are missing each time.
TODAY = date(2026, 3, 1)
NOW = datetime.combine(TODAY, time(12), tzinfo=UTC)


@dataclass(frozen=True)
class World:
    """How much there is of everything; of ``one_in`` units one is missing, in each table another."""

    teams: int
    days: int
    events_per_unit: int
    one_in: int

    @property
    def span(self) -> DayRange:
        return DayRange(TODAY - timedelta(days=self.days), TODAY)

    @property
    def units_per_table(self) -> int:
        return self.teams * self.days

    @property
    def units(self) -> int:
        return self.units_per_table * len(WEB_TABLES)


@contextmanager
def new_database(server: ServerAddress, name: str) -> Iterator[Client]:
    """A client of a new database, which is dropped in the end: the sizes would add up on the disk."""
    dsn = Dsn.parse(server.dsn(name))
    with open_client(dsn, wait_seconds=60, create_database=True) as client:
        yield client
        client.command(f"DROP DATABASE {dsn.database} SYNC")


def fill_events(client: Client, world: World, progress: Callable[[str], None]) -> None:
    """The schema, the list of teams and the events, each day of which lies in one part."""
    apply_schema(client, WEB_TABLES)
    write_selection(client, range(1, world.teams + 1))
    sql = Sql("dags.bench", client)
    progress(f"{world.units_per_table * world.events_per_unit:,} events of {world.days} days")
    for day in world.span:
        sql.command("fill_events", {"day": day, "teams": world.teams, "per_unit": world.events_per_unit})
    client.command("OPTIMIZE TABLE events FINAL")


def fill_source(client: Client, world: World, progress: Callable[[str], None]) -> None:
    """The schema, the list of teams, the events, and the bounces: a row of these per unit, in every size."""
    apply_schema(client, WEB_TABLES)
    write_selection(client, range(1, world.teams + 1))
    sql = Sql("dags.bench", client)
    progress(f"{world.units_per_table * world.events_per_unit:,} events of {world.days} days")
    for day in world.span:
        sql.command("fill_events", {"day": day, "teams": world.teams, "per_unit": world.events_per_unit})
        sql.command("fill_bounces", {"day": day, "teams": world.teams, "one_in": world.one_in})


def fill_stats(client: Client, world: World, rows_per_unit: int, progress: Callable[[str], None]) -> None:
    """The other table, emptied before, and the ledger of both."""
    sql = Sql("dags.bench", client)
    for table in (STATS.name, "web_pre_aggregated_builds"):
        client.command(f"TRUNCATE TABLE {table} SYNC")
    progress(f"{world.units_per_table * rows_per_unit:,} rows of {world.days} days")
    for day in world.span:
        bound = {"day": day, "teams": world.teams, "one_in": world.one_in}
        sql.command("fill_stats", {**bound, "per_unit": rows_per_unit})
        for table in (STATS.name, BOUNCES.name):
            sql.command("fill_ledger", {"day": day, "table": table, "one_in": world.one_in}, target=table)
    # As it is some hours after the builds, and no merge in the background of what is measured.
    client.command("OPTIMIZE TABLE web_pre_aggregated_builds FINAL")
