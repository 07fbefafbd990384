"""What planning a managed backfill reads of ClickHouse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from dags.clickhouse.leases.store import living_leases
from dags.clickhouse.sql import Sql
from dags.domain.days import ONE_DAY, DayRange
from dags.domain.units import EPOCH
from dags.managed_backfill.gates import BASELINE_DAYS, Spread
from dags.managed_backfill.log import days_by_table
from dags.publish.contents import target_of
from dags.work.audit.log import MANAGED, UNFINISHED
from dags.work.audit.store import read_works
from dags.work.plan import Rates

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

    from dags.domain.watched import WatchedTable
    from dags.work.audit.log import Entry

_PACKAGE = "dags.managed_backfill"

# Where no build tells how long one takes: what builds of a million events took on two cores, see the README's figures.
ASSUMED_SECONDS_PER_ROW = 3.5e-6
SECONDS_PER_DAY = 0.1

# Builds of so many days tell how long the next will take.
RATE_DAYS = 30


@dataclass(frozen=True)
class Coverage:
    """What source and table hold of some days, by (day, team)."""

    source: Mapping[tuple[date, int], tuple[int, int]]
    target: Mapping[tuple[date, int], tuple[int, int]]

    def rows_for(self, day: date, teams: Iterable[int], reach_days: int) -> int:
        """How many source rows bear on these teams' day, its own and its neighbours', each once."""
        near = DayRange(day - reach_days * ONE_DAY, day + (reach_days + 1) * ONE_DAY)
        return sum(self.source.get((one, team), (0, 0))[0] for team in teams for one in near)

    def has_source(self, day: date, teams: Iterable[int]) -> bool:
        return any((day, team) in self.source for team in teams)

    def spread(self, day: date, teams: Collection[int]) -> Spread:
        held = [self.target.get((day, team), (0, 0)) for team in teams]
        expected = sum(self.source.get((day, team), (0, 0))[1] for team in teams)
        return Spread(sum(rows for rows, _ in held), sum(total for _, total in held), expected)


def read_coverage(client: Client, table: WatchedTable, days: DayRange) -> Coverage:
    """Both sides of some days, the source with its reach around them."""
    sql, reach = Sql("dags.publish", client), table.source.reach_days * ONE_DAY
    around = {"start": days.start - reach, "end": days.end + reach}
    exact = {"start": days.start, "end": days.end}
    source = sql.rows("units_by_day", around, **_source(table))
    target = sql.rows("units_by_day", exact, **target_of(table))
    return Coverage(
        {(day, team): (rows, expected) for day, team, rows, expected in source},
        {(day, team): (rows, total) for day, team, rows, total in target},
    )


def _source(table: WatchedTable) -> dict[str, str]:
    source = table.source
    return {"table": source.table, "day": source.day, "team": source.team_column, "counted": source.expected}


def read_baseline(client: Client, table: WatchedTable, start: date, teams: Collection[int]) -> dict[date, Spread]:
    """How the days before a range are spread, of the teams that are rebuilt."""
    before = DayRange(start - BASELINE_DAYS * ONE_DAY, start)
    coverage = read_coverage(client, table, before)
    return {day: coverage.spread(day, teams) for day in before}


def read_rates(client: Client, table: WatchedTable, today: date, usd_per_gb: float) -> Rates:
    """What a source row costs: as past builds of the table took, or an assumption that says it is one."""
    (width,) = Sql(_PACKAGE, client).row("source_width", {"table": table.source.table})
    bound = {"tables": [table.name], "start": today - RATE_DAYS * ONE_DAY, "end": today}
    [(_, seconds, rows)] = Sql("dags.detection", client).rows("build_rate", bound) or [("", 0.0, 0)]
    words = (
        f"builds of the last {RATE_DAYS} days, {rows:,} rows in {seconds:,.1f} s" if rows else "no past build: assumed"
    )
    return Rates(
        seconds_per_row=seconds / rows if rows else ASSUMED_SECONDS_PER_ROW,
        seconds_per_step=SECONDS_PER_DAY,
        bytes_per_row=float(width),
        usd_per_gb=usd_per_gb,
        words=words,
    )


def read_in_work(client: Client, except_backfill: str = "") -> dict[tuple[str, date], str]:
    """Who works on which (table, day): builds that hold a lease, and backfills that are not over."""
    taken = {(lease.table, lease.day): f"run {lease.run[:8]}" for lease in living_leases(client)}
    return taken | unfinished_days(client, except_backfill)


def unfinished_days(client: Client, except_backfill: str = "") -> dict[tuple[str, date], str]:
    """The (table, day) that managed backfills have which are not over, and which backfill that is, in words."""
    begun = read_works(client, kinds=[MANAGED], statuses=UNFINISHED)
    others = [row for row in begun if row.work_id != except_backfill]
    return {unit: f"{row.work_id}, which is {row.status}" for unit, row in days_by_table(others).items()}


@dataclass(frozen=True)
class Later:
    """The last build of a unit by others, in which run, and the last by one's own runs, 1970 if there is none."""

    at: datetime
    run_id: str
    own_at: datetime

    def is_after(self, event: Entry) -> bool:
        """Whether others built it after an event of one's own: by the server's clock, which the ledger has as well, or
        after one's own last build, as the ledger orders them. The stamps that order a log are not compared with it.
        """
        return self.at > event.server_at or EPOCH < self.own_at < self.at


def later_builds(client: Client, table: str, days: DayRange, run_ids: Collection[str]) -> dict[tuple[date, int], Later]:
    """When others built units of some days last, and in which run."""
    bound = {"table": table, "start": days.start, "end": days.end, "run_ids": list(run_ids)}
    rows = Sql(_PACKAGE, client).rows("later_builds", bound)
    return {
        (day, team): Later(at.replace(tzinfo=UTC), run_id, own_at.replace(tzinfo=UTC))
        for day, team, at, run_id, own_at in rows
    }
