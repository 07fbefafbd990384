"""What a managed backfill asks of each day on its way: its gates and its backup, and whether its own lease still holds.

A day whose gates fail keeps its old rows. What was found is kept here, for the day's record.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.domain.days import ONE_DAY, DayRange
from dags.domain.errors import BuildError
from dags.managed_backfill import gates
from dags.managed_backfill.backup import back_up_once, record_swap
from dags.managed_backfill.shrunk import held_by_build
from dags.managed_backfill.store import read_coverage
from dags.publish.steps import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from clickhouse_connect.driver.client import Client
    from tenacity import Retrying

    from dags.domain.units import Measure
    from dags.domain.watched import WatchedTable
    from dags.managed_backfill.gates import Gate, Spread
    from dags.publish.steps import Swap
    from dags.work.audit.log import Entry
    from dags.work.audit.store import Log
    from dags.work.lease import Hold

_PACKAGE = "dags.managed_backfill"


class DayCheckpoint(Checkpoint):
    """Asked of one day of a chunk. ``entry`` names day, chunk and table in the log.

    ``rebuilt`` are the teams that this chunk rebuilds, ``teams`` all whose rows a rollback would put back. After the
    build: ``gates`` that passed, ``spread`` of what was staged (None if nothing was), and ``kept_by_team``, why teams
    keep their rows, which have ``kept_total`` in all.
    """

    def __init__(
        self,
        client: Client,
        log: Log,
        hold: Hold,
        again: Retrying,
        *,
        table: WatchedTable,
        entry: Entry,
        rebuilt: frozenset[int],
        teams: frozenset[int],
        baseline: Collection[Spread],
        backup: str,
    ) -> None:
        self.gates: tuple[Gate, ...] = ()
        self.spread: Spread | None = None
        self.kept_by_team: Mapping[int, str] = {}
        self.kept_total = 0
        self._client = client
        self._log = log
        self._hold = hold
        self._again = again
        self._table = table
        self._entry = entry
        self._day = date.fromisoformat(entry.step)
        self._rebuilt = rebuilt
        self._teams = teams
        self._baseline = baseline
        self._backup = backup

    def held(self, has: Mapping[int, Measure], staged: Mapping[int, Measure]) -> Collection[int]:
        self.kept_by_team = self._again(held_by_build, self._client, self._table, self._day, has, staged)
        self.kept_total = sum(has[team].total for team in self.kept_by_team)
        return self.kept_by_team.keys()

    def before_swap(self, swap: Swap) -> None:
        """Ask the gates of what is staged, back the day up, and record what the swap will bring."""
        self.spread, asked = gates.Spread(), []
        if swap.staging is not None:
            rebuilt = self._rebuilt - self.kept_by_team.keys()
            self.spread = self._again(read_spread, self._client, self._table, swap.staging, self._day, rebuilt)
            [hollow] = self._again(
                Sql(_PACKAGE, self._client).rows,
                "hollow_rows",
                staging=swap.staging,
                team=self._table.team_column,
                row_distinct=self._table.row_distinct,
                row_total=self._table.row_total,
            )
            asked.append(gates.staged_rows(self.spread.rows, len(rebuilt)))
            asked.append(gates.no_nulls(*hollow, words=self._table.words))
            asked.append(gates.distribution(self.spread, self._baseline))
        if failed := [gate for gate in asked if not gate.is_passed]:
            raise BuildError(f"not published, readers see the old day: {'; '.join(map(str, failed))}")
        given = {"table": self._table, "teams": self._teams, "entry": self._entry}
        taken = self._again(back_up_once, self._client, self._log, self._hold, swap, backup=self._backup, **given)
        self.gates = (*asked, *([taken] if taken is not None else []))
        self._again(record_swap, self._client, self._log, self._hold, swap, **given)

    def confirm(self) -> None:
        self._hold.confirm()


def read_spread(client: Client, table: WatchedTable, name: str, day: date, teams: Collection[int]) -> Spread:
    """How the rows and page views of some teams are spread in a table, or in a staging of it."""
    return read_coverage(client, replace(table, name=name), DayRange(day, day + ONE_DAY)).spread(day, teams)
