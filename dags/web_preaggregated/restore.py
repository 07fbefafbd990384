"""Puts a day back as a backup has it, for some teams; every other team's rows stay the bytes they are.

As a build does it: under the day's lease, staged, compared, and swapped in whole; a day that was absent goes again.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dags.errors import BuildError
from dags.failures import retrying
from dags.leases.store import Leases
from dags.sql import Sql
from dags.units import MAX_TEAMS_BOUND, Measure
from dags.web_preaggregated.plan import differences
from dags.web_preaggregated.staging import Staging

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import date

    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.web_preaggregated"


@dataclass
class DayRestore:
    """One restore of one table's day from ``backup``, a table like it. `run` is called once."""

    client: Client
    day: date
    table: str
    teams: Collection[int]
    backup: str
    run_id: str
    wait_seconds: float = 0.0
    progress: Callable[[str], None] = field(default=logging.getLogger(__name__).info)
    sleep: Callable[[float], None] = field(default=time.sleep)

    def run(self) -> int:
        """Put the day back; how many rows of it readers see then.

        Raises:
            LeaseError: another run works on the day. Nothing was touched.
            BuildError: what was staged is not what the backup says. Readers see the day as it was.
            ClickHouseError: likewise.
        """
        self._sql = Sql(_PACKAGE, self.client)
        self._again = retrying(self.progress, sleep=self.sleep)
        with (
            Leases(
                self.client, self.run_id, wait_seconds=self.wait_seconds, tell=self.progress, sleep=self.sleep
            ) as leases,
            ExitStack() as stack,
        ):
            staging = Staging(self.client, self._sql, self.day, leases.token, self.progress)
            self._again(leases.take, self.table, self.day)
            self._again(staging.fence, self.table)
            now, then = self._again(self._units, self.table), self._again(self._units, self.backup)
            others = {team: unit for team, unit in now.items() if team not in self.teams}
            expected = others | {team: unit for team, unit in then.items() if team in self.teams}
            if expected:
                new = self._again(
                    self._assembled, stack, staging, replaced=set(now) - set(others), now=set(now), then=set(then)
                )
                leases.confirm(self.table, self.day)
                self._compare(new, expected, "was not restored, readers see it as it was")
                self._again(self._sql.command, "publish_day", self._partition, target=self.table, staging=new)
            elif now:
                leases.confirm(self.table, self.day)
                self._again(self._sql.command, "drop_day", self._partition, target=self.table)
            self._compare(self.table, expected, "was restored, but reads back otherwise")
        return sum(rows for _, rows in expected.values())

    @property
    def _partition(self) -> dict[str, int]:
        return {"partition": int(f"{self.day:%Y%m%d}")}

    def _assembled(
        self, stack: ExitStack, staging: Staging, *, replaced: set[int], now: set[int], then: set[int]
    ) -> str:
        new = staging.like(stack, "restored", self.table)
        if now != replaced:
            self._sql.command("attach_day", self._partition, into=new, source=self.table)
            self._delete(new, replaced)
        if kept := then & set(self.teams):
            source = self.backup
            if kept != then:
                source = staging.like(stack, "kept", self.table)
                self._sql.command("attach_day", self._partition, into=source, source=self.backup)
                self._delete(source, then - kept)
            self._sql.command("attach_day", self._partition, into=new, source=source)
        return new

    def _delete(self, staging: str, teams: Collection[int]) -> None:
        ordered = sorted(teams)
        for first in range(0, len(ordered), MAX_TEAMS_BOUND):
            some = ordered[first : first + MAX_TEAMS_BOUND]
            self._sql.command("delete_teams", {"teams": some}, staging=staging)

    def _compare(self, name: str, expected: dict[int, tuple[Measure, int]], words: str) -> None:
        found = {team: measure for team, (measure, _) in self._again(self._units, name).items()}
        if wrong := differences(found, {team: measure for team, (measure, _) in expected.items()}):
            team, (has, should) = next(iter(wrong.items()))
            raise BuildError(
                f"{self.table} of {self.day} {words}: {len(wrong)} teams differ, team {team} with {has} of {should}. "
                "Something else may have written the day at the same moment: restore it again"
            )

    def _units(self, name: str) -> dict[int, tuple[Measure, int]]:
        bound = {"day": self.day, "day_only": 1}
        return {
            team: (Measure(sessions, pageviews), rows)
            for team, rows, sessions, pageviews, _ in self._sql.rows("target_units", bound, target=name)
        }
