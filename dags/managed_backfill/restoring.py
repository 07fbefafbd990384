"""Puts the days of a backfill back as they were before it, from the backup that it took, and reads all of them back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.targets.store import require_usable
from dags.domain.days import ONE_DAY, DayRange, in_words
from dags.domain.errors import BuiltSinceError, LeaseLostError, UserError
from dags.managed_backfill.log import Days, recorded_of
from dags.managed_backfill.store import later_builds
from dags.publish.backup import BackedUp, DayBackup, backup_name, has_backup, perhaps_elsewhere
from dags.publish.contents import read_comparison
from dags.publish.moments import Checkpoint
from dags.publish.restore import DayRestore
from dags.work.audit.log import Entry, Event

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.domain.watched import WatchedTable
    from dags.managed_backfill.plan import Plan
    from dags.publish.comparison import Comparison
    from dags.work.audit.log import State
    from dags.work.audit.store import Log
    from dags.work.lease import WorkLease


@dataclass(frozen=True)
class Restored:
    """What became of each day: ``days`` are as they were, read back; the others are not, and why.

    ``left`` are those that others have written since, and that were left to them. ``uncompared``: what of the days was
    put back and not compared, in words.
    """

    days: tuple[date, ...]
    left: Mapping[date, str]
    failed: Mapping[date, str]
    uncompared: str = ""

    def in_words(self) -> str:
        """In words: which days are as they were and which are not."""
        but = f"; {self.uncompared}" if self.uncompared else ""
        lines = [f"{in_words(self.days) if self.days else 'no day'}: as before, read back{but}"]
        lines += [f"{day}: NOT as before, left to what others wrote: {words}" for day, words in self.left.items()]
        lines += [f"{day}: NOT as before: {words}" for day, words in self.failed.items()]
        return "\n".join(lines)

    def after_gate(self) -> str:
        """In words, where nobody asked for it: a gate did."""
        words = f"{len(self.days)} days were put back as they were, read back"
        words += f" ({self.uncompared})" if self.uncompared else ""
        if self.left:
            words += f"; others have written {', '.join(map(str, self.left))} since, these stay"
        return f"{words}; roll it back to put back the others:\n{self.in_words()}" if self.failed else words


def built_since(client: Client, plan: Plan, state: State, days: Collection[date] = ()) -> dict[date, str]:
    """The days that others have built since this backfill replaced them, for a team of the plan, and who; ``days``: of
    these alone.
    """
    backed_up = Days.of(state).backed_up
    asked = sorted(set(days) & backed_up.keys() if days else backed_up)
    if not asked:
        return {}
    teams = plan.teams_by_day
    found: dict[date, str] = {}
    span = DayRange(asked[0], asked[-1] + ONE_DAY)
    for (day, team), later in later_builds(client, plan.scope.table, span, state.run_ids).items():
        if day in asked and later.is_after(backed_up[day]) and team in teams.get(day, ()):
            found[day] = f"run {later.run_id[:8]}"
    return found


class _DayCheckpoint(Checkpoint):
    """Asked of one day that is restored: that others have not written it, and that the backfill's lease holds."""

    def __init__(self, restoring: Restoring, day: date) -> None:
        self._restoring = restoring
        self._day = day

    def may_replace(self) -> None:
        if not self._restoring.even_built_since:
            self._restoring.refuse_what_others_wrote(self._day)

    def confirm(self) -> None:
        self._restoring.lease.confirm()


@dataclass(frozen=True)
class Restoring:
    """One restore of all days that a backfill backed up, newest first. Its lease is held.

    ``day_restored`` hears of each day that was put back, and how many rows it has.
    """

    client: Client
    table: WatchedTable
    plan: Plan
    state: State
    log: Log
    lease: WorkLease
    wait_seconds: float
    tell: Callable[[str], None]
    day_restored: Callable[[date, int], None]
    even_built_since: bool = False

    @cached_property
    def days(self) -> Days:
        """What became of each day."""
        return Days.of(self.state)

    def run(self, by: Comparison) -> Restored:
        """Restore each day that can be, read all of them back, and say what became of each.

        A day that fails keeps no other from being restored; all of it can be done again.

        Raises:
            LeaseLostError: another run acts on the backfill now.
        """
        left: dict[date, str] = {}
        failed: dict[date, str] = {}
        for day in sorted(self.days.backed_up, reverse=True):
            self.lease.confirm()
            try:
                rows = self._restored(day, by)
            except LeaseLostError:
                raise
            except BuiltSinceError as error:
                left[day] = str(error)
            except (UserError, ClickHouseError) as error:
                failed[day] = str(error)[:1000]
            else:
                self.log.append(Entry(Event.STEP_UNDONE, step=str(day), rows=rows))
                self.tell(f"{day}: {self.table.name} is restored, {rows:,} rows")
                self.day_restored(day, rows)
        for day in sorted(self.days.backed_up.keys() - left.keys() - failed.keys()):
            if unlike := self._backup(day).unlike(self._recorded(day), by):
                failed[day] = f"it was restored, and {unlike}: others wrote it since"
        self.lease.confirm()
        as_before = self.days.backed_up.keys() - left.keys() - failed.keys()
        return Restored(tuple(sorted(as_before)), left, failed, by.in_words())

    @property
    def _table(self) -> str:
        return backup_name(self.state.work_id, self.table.name)

    def _backup(self, day: date) -> DayBackup:
        return DayBackup(self.client, self.table, self._table, day, self.plan.teams_by_day[day])

    def _recorded(self, day: date) -> BackedUp:
        return recorded_of(self.days.backed_up[day])

    def comparable(self) -> Comparison:
        """How the backup is compared with the table, once the backup is known to be there.

        Raises:
            UserError: it is not, or cannot be compared with the table, or no day may be swapped into that. Nothing was
                touched.
        """
        require_usable(self.client, self.table)
        state, plan = self.state, self.plan
        if not has_backup(self.client, self._table):
            raise UserError(
                f"the backup of {state.work_id} is not there any more{perhaps_elsewhere(self.client)}. It was kept "
                f"{plan.rollback.kept_days} days, or until the backfill was deleted. Rebuild the days from their "
                "source instead"
            )
        if lost := [day for day in self.days.backed_up if not self._backup(day).holds_still(self._recorded(day))]:
            raise UserError(
                f"the backup of {state.work_id} does not hold {in_words(lost)} as it was recorded: somebody wrote "
                f"into {self._table}, altered it or merged it by hand, or it was begun anew. Nothing was touched; "
                "rebuild the days from their source instead"
            )
        return read_comparison(self.client, self.table.name, self._table)

    def _restored(self, day: date, by: Comparison) -> int:
        return DayRestore(
            client=self.client,
            day=day,
            table=self.table,
            teams=self.plan.teams_by_day[day],
            backup=self._backup(day).source(self._recorded(day)),
            compare=by,
            run_id=self.log.run_id,
            wait_seconds=self.wait_seconds,
            progress=self.tell,
            checkpoint=_DayCheckpoint(self, day),
        ).run()

    def refuse_what_others_wrote(self, day: date) -> None:
        """Under the day's lease, and in each attempt after the numbers of its parts were read.

        What a team may lose is what this backfill wrote.

        Raises:
            BuiltSinceError: the ledger has a later build, or the teams hold what this backfill did not write.
        """
        if since := built_since(self.client, self.plan, self.state, [day]):
            raise BuiltSinceError(f"built by {since[day]}")
        swaps = [entry.payload for entry in self.days.swapping.get(day, ())]
        if wrote := self._backup(day).what_others_wrote(self._recorded(day), swaps, self.state.run_ids):
            raise BuiltSinceError(wrote)
