"""What a managed backfill does of its plan: its gates, and each day of its chunks by the build that all others use.

A day that was published and not recorded is built once more, which changes nothing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.failures import retrying
from dags.clickhouse.targets.store import read_usability
from dags.domain.days import ONE_DAY, DayRange, in_words
from dags.domain.errors import LeaseLostError, UserError
from dags.managed_backfill import gates
from dags.managed_backfill.checkpoint import DayCheckpoint, read_spread
from dags.managed_backfill.log import UNTOUCHED, DayEvent, Days
from dags.managed_backfill.plan import OnGateFailure
from dags.managed_backfill.progress import report
from dags.managed_backfill.restoring import Restoring
from dags.managed_backfill.shrunk import held_in_words, read_held_by_builds
from dags.managed_backfill.store import later_builds, read_baseline, read_coverage, unfinished_days
from dags.publish.backup import backup_name, has_backup, kept_until, make_backup, perhaps_elsewhere
from dags.publish.build import DayBuild
from dags.repair.stops.stopped import why_stopped
from dags.work.audit.log import STOPPED, Entry, Event, Status
from dags.work.orders import Ended
from dags.work.progress import chunk_states

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dags.domain.watched import WatchedTable
    from dags.managed_backfill.gates import Gate, Spread
    from dags.managed_backfill.plan import Chunk, Plan
    from dags.publish.batches import Limits
    from dags.publish.built import BuiltDay
    from dags.work.audit.log import State
    from dags.work.runner import AtWork


@dataclass(frozen=True)
class Backfill:
    """What a managed backfill brings to the runner of its plan.

    ``day_begun`` hears of each day that may be otherwise from then on, whatever ends it; ``day_done`` of each that was
    published, ``day_restored`` of each that was put back, with its rows.
    """

    table: WatchedTable
    plan: Plan
    limits: Limits
    wait_seconds: float
    day_begun: Callable[[date], None]
    day_done: Callable[[BuiltDay], None]
    day_restored: Callable[[date, int], None]

    def begin(self, at: AtWork) -> PlannedDays | Ended:
        """Ask the gates before the first chunk, and make sure of the backup.

        Raises:
            UserError: the backup of days that it replaced is lost.
        """
        scope, backfill_id = self.plan.scope, at.log.work.work_id
        unusable = read_usability(at.client, [self.table]).unusable
        target = gates.target_columns_exist(scope.table, unusable.get(scope.table, ""))
        baseline: dict[date, Spread] = {}
        asked = [target]
        if target.is_passed:
            baseline = read_baseline(at.client, self.table, scope.start_date, frozenset(scope.team_ids))
            asked = [
                gates.source_has_data(self.plan.days, self.plan.estimate.rows),
                target,
                gates.no_other_backfill(self._taken(at)),
                gates.baseline_captured(baseline),
            ]
        if not recorded(at, asked):
            return Ended(Status.FAILED, "a gate before the first chunk failed, nothing was touched")
        state, backup = at.read(), backup_name(backfill_id, scope.table)
        if Days.of(state).backed_up and not has_backup(at.client, backup):
            raise UserError(
                f"the backup of {backfill_id} is not there any more{perhaps_elsewhere(at.client)}. Of days that it "
                "replaced no other can be taken: ask for a new backfill for what is left, kind gap_filling finds it"
            )
        until = kept_until(state.read_at, self.plan.rollback.kept_days)
        make_backup(at.client, backup, scope.table, until)
        return PlannedDays(self, baseline, backup)

    def _taken(self, at: AtWork) -> dict[str, list[date]]:
        """Which days of the plan other backfills have that are not over, by who has them, in words."""
        taken: dict[str, list[date]] = {}
        others = unfinished_days(at.client, except_backfill=at.log.work.work_id)
        for day in self.plan.days:
            if who := others.get((self.plan.scope.table, day)):
                taken.setdefault(who, []).append(day)
        return taken

    def report(self, state: State) -> dict[str, Any]:
        """The final report, for programs."""
        return report(self.plan, state)


@dataclass(frozen=True)
class PlannedDays:
    """The days of a backfill that may begin, with what its gates compare them with, and the name of its backup."""

    backfill: Backfill
    baseline: Mapping[date, Spread]
    backup: str
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def why_stop(self, at: AtWork) -> Ended | None:
        """The switch that stops all backfills."""
        stopped = why_stopped(at.client)
        return Ended(Status.PAUSED, f"backfills are {stopped}", STOPPED) if stopped else None

    def do(self, at: AtWork, chunk: Chunk, step: str) -> Sequence[Entry]:
        """Build a day of a chunk; the gates that passed, and what became of it."""
        this, day = self.backfill, date.fromisoformat(step)
        rebuilt, table = frozenset(this.plan.teams(chunk, day)), this.table.name
        checkpoint = DayCheckpoint(
            client=at.client,
            log=at.log,
            lease=at.lease,
            retry=retrying(at.tell),
            table=this.table,
            entry=Entry(DayEvent.BACKED_UP, step=step, chunk=chunk.id, name=table),
            rebuilt=rebuilt,
            teams=this.plan.teams_by_day[day],
            baseline=self.baseline.values(),
            backup=self.backup,
        )
        entry = Entry(Event.STEP_FAILED, step=step, chunk=chunk.id)
        this.day_begun(day)
        try:
            built = DayBuild(
                client=at.client,
                day=day,
                teams_by_table={table: rebuilt},
                run_id=at.log.run_id,
                limits=this.limits,
                tables=(this.table,),
                allow_shrink=this.plan.strategy.allow_shrink,
                wait_seconds=this.wait_seconds,
                progress=at.tell,
                checkpoint=checkpoint,
            ).run()
        except LeaseLostError:
            raise
        except (UserError, ClickHouseError) as error:
            entry = replace(entry, payload=str(error)[:1000])
        else:
            entry = self._entry_of(at, built, entry, checkpoint, rebuilt)
        return [*(gate_entry(gate, chunk.id, step) for gate in checkpoint.gates), entry]

    def _entry_of(
        self, at: AtWork, built: BuiltDay, entry: Entry, checkpoint: DayCheckpoint, rebuilt: frozenset[int]
    ) -> Entry:
        """What the log keeps of a day that was built, or of which a part was."""
        [table] = built.tables
        spread, kept = checkpoint.spread, checkpoint.kept_by_team
        if kept:
            at.tell(f"{entry.step}: held, {held_in_words(kept)}")
        if not built.problems:
            with self._one_at_a_time:
                self.backfill.day_done(built)
        return replace(
            entry,
            event=Event.STEP_FAILED if built.problems else Event.STEP_DONE,
            name=UNTOUCHED if table.is_untouched else "",
            rows=table.rows,
            total=spread.total + checkpoint.kept_total
            if spread is not None
            else read_spread(at.client, self.backfill.table, table.table, built.day, rebuilt).total,
            source_rows=built.source.around,
            own_source_rows=built.source.own,
            rows_read=built.source.cost.rows_read or 0,
            bytes_read=built.source.cost.bytes_read or 0,
            payload="; ".join([*built.problems, *([held_in_words(kept)] if kept else [])])[:1000],
        )

    def judge(self, at: AtWork) -> Ended:
        """The gates after the last chunk; if one fails, every chunk is put back unless the plan says otherwise."""
        plan, table, state = self.backfill.plan, self.backfill.table, at.read()
        done = Days.of(state).done
        failed = {one.chunk.id: one.error for one in chunk_states(plan.chunks, state) if one.status != "done"}
        days = DayRange(min(plan.days), max(plan.days) + ONE_DAY)
        coverage = read_coverage(at.client, table, days)
        later = later_builds(at.client, table.name, days, state.run_ids)
        others = {day for (day, _), one in later.items() if day in done and one.is_after(done[day])}
        teams_by_day = plan.teams_by_day
        spreads = {day: coverage.spread(day, teams_by_day[day]) for day in done}
        # What was held is unlike its source, and is no sign of a build that counts otherwise.
        kept = read_held_by_builds(at.client, table.name, days, state.run_ids)
        rebuilt = (coverage.spread(day, teams_by_day[day] - kept.get(day, set())) for day in done)
        whole = sum(rebuilt, gates.Spread())
        asked = [
            gates.every_chunk_succeeded(failed, len(plan.chunks)),
            gates.row_counts(
                {day: spread.total for day, spread in spreads.items()},
                {day: entry.total for day, entry in done.items()},
                others,
            ),
            gates.distribution(whole, self.baseline.values()),
        ]
        if recorded(at, asked):
            held = sorted({*kept, *plan.scope.held})
            words = f"{in_words(held)}: held teams keep their rows, a backfill with allow_shrink: true rebuilds them"
            return Ended(Status.COMPLETED, words if held else "")
        if plan.strategy.on_gate_failure is OnGateFailure.KEEP:
            return Ended(Status.FAILED, "a gate failed in the end; the plan says to keep what was published")
        at.tell("a gate failed in the end: every chunk is put back as it was")
        restoring = Restoring(
            at.client, table, plan, state, at.log, at.lease,
            self.backfill.wait_seconds, at.tell, self.backfill.day_restored,
        )  # fmt: skip
        comparable = restoring.comparable()
        for day in restoring.days.backed_up:
            self.backfill.day_begun(day)
        restored = restoring.run(comparable)
        status = Status.FAILED if restored.failed or restored.left else Status.RESTORED
        return Ended(status, f"a gate failed in the end: {restored.after_gate()}")


def recorded(at: AtWork, asked: Sequence[Gate]) -> bool:
    """Record gates of the whole backfill; whether all of them passed."""
    at.again(at.log.append, *map(gate_entry, asked))
    for gate in asked:
        if not gate.is_passed:
            at.tell(f"gate {gate}")
    return all(gate.is_passed for gate in asked)


def gate_entry(gate: Gate, chunk: int = 0, step: str = "") -> Entry:
    """What the log keeps of a gate."""
    return Entry(Event.GATE, step=step, chunk=chunk, name=gate.name, is_passed=gate.is_passed, payload=gate.measured)
