"""What a managed backfill asks of each day on its way: its gates and its backup, and whether its own lease still holds.

A day whose gates fail keeps its old rows. What was found is kept here, for the day's record.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.domain.days import ONE_DAY, DayRange
from dags.domain.errors import BuildError
from dags.managed_backfill import gates
from dags.managed_backfill.log import DayEvent, Days, recorded_of
from dags.managed_backfill.shrunk import held_by_build
from dags.managed_backfill.store import read_coverage
from dags.publish.backup import DayBackup
from dags.publish.moments import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from clickhouse_connect.driver.client import Client
    from tenacity import Retrying

    from dags.domain.units import Measure
    from dags.domain.watched import WatchedTable
    from dags.managed_backfill.gates import Gate, Spread
    from dags.publish.moments import Swap
    from dags.work.audit.log import Entry
    from dags.work.audit.store import Log
    from dags.work.lease import WorkLease

_PACKAGE = "dags.managed_backfill"


@dataclass
class DayCheckpoint(Checkpoint):
    """Asked of one day of a chunk. ``entry`` names day, chunk and table in the log.

    ``rebuilt`` are the teams that this chunk rebuilds, ``teams`` all whose rows a rollback would put back. After the
    build: ``gates`` that passed, ``spread`` of what was staged (None if nothing was), and ``kept_by_team``, why teams
    keep their rows, which have ``kept_total`` in all.
    """

    client: Client
    log: Log
    lease: WorkLease
    retry: Retrying
    table: WatchedTable
    entry: Entry
    rebuilt: frozenset[int]
    teams: frozenset[int]
    baseline: Collection[Spread]
    backup: str
    gates: tuple[Gate, ...] = field(default=(), init=False)
    spread: Spread | None = field(default=None, init=False)
    kept_by_team: Mapping[int, str] = field(default_factory=dict, init=False)
    kept_total: int = field(default=0, init=False)

    @property
    def day(self) -> date:
        """The day that is built."""
        return date.fromisoformat(self.entry.step)

    def held(self, has: Mapping[int, Measure], staged: Mapping[int, Measure]) -> Collection[int]:
        self.kept_by_team = self.retry(held_by_build, self.client, self.table, self.day, has, staged)
        self.kept_total = sum(has[team].total for team in self.kept_by_team)
        return self.kept_by_team.keys()

    def before_swap(self, swap: Swap) -> None:
        """Ask the gates of what is staged, back the day up, and record what the swap will bring."""
        self.spread, asked = gates.Spread(), []
        if swap.staging is not None:
            rebuilt = self.rebuilt - self.kept_by_team.keys()
            self.spread = self.retry(read_spread, self.client, self.table, swap.staging, self.day, rebuilt)
            [hollow] = self.retry(
                Sql(_PACKAGE, self.client).rows,
                "hollow_rows",
                staging=swap.staging,
                team=self.table.team_column,
                row_distinct=self.table.row_distinct,
                row_total=self.table.row_total,
            )
            asked.append(gates.staged_rows(self.spread.rows, len(rebuilt)))
            asked.append(gates.no_nulls(*hollow, words=self.table.words))
            asked.append(gates.distribution(self.spread, self.baseline))
        if failed := [gate for gate in asked if not gate.is_passed]:
            raise BuildError(f"not published, readers see the old day: {'; '.join(map(str, failed))}")
        taken = self.retry(self.back_up_once, swap)
        self.gates = (*asked, *([taken] if taken is not None else []))
        self.retry(self.record_swap, swap)

    def back_up_once(self, swap: Swap) -> Gate | None:
        """Back the day up and record it, unless the backup has it as it was before the first swap; the gate if it was
        done now.

        Raises:
            BuildError: the backup is not what was recorded, does not fit, or may be of a state that was not before; the
                gate failed.
            LeaseLostError: another run acts on the backfill now.
        """
        state, day = self.log.read(), self.day
        days = Days.of(state) if state is not None else Days()
        recorded = recorded_of(days.backed_up[day]) if day in days.backed_up else None
        # A run builds a day once, so what it has begun before is of an attempt that ended before the swap.
        swaps = [one.payload for one in days.swapping.get(day, ()) if one.run_id != self.log.run_id]
        if self._backup.is_of_before(swap, recorded, swaps):
            return None
        taken = self._backup.take(swap)
        gate = gates.backup_taken(taken.in_table.total, taken.in_backup.total, is_equal=taken.is_equal)
        if not gate.is_passed:
            raise BuildError(f"not published, readers see the old day: {gate}")
        now = taken.recorded
        self.lease.confirm()
        self.log.append(replace(self.entry, rows=now.rows, total=now.total, payload=now.kept))
        return gate

    def record_swap(self, swap: Swap) -> None:
        """Record what the teams will have once a swap has happened, before it happens: so a restore knows what is ours.

        Raises:
            LeaseLostError: another run acts on the backfill now.
        """
        self.lease.confirm()  # or the staging may be gone
        brings = self._backup.after(swap)
        self.lease.confirm()
        self.log.append(replace(self.entry, event=DayEvent.SWAPPING, payload=brings))

    @property
    def _backup(self) -> DayBackup:
        return DayBackup(self.client, self.table, self.backup, self.day, self.teams)

    @property
    def leases(self) -> Mapping[str, str]:
        return {self.lease.name: self.lease.leases.token}

    def confirm(self) -> None:
        self.lease.confirm()


def read_spread(client: Client, table: WatchedTable, name: str, day: date, teams: Collection[int]) -> Spread:
    """How the rows and page views of some teams are spread in a table, or in a staging of it."""
    return read_coverage(client, replace(table, name=name), DayRange(day, day + ONE_DAY)).spread(day, teams)
