"""What people see of a managed backfill: its plan, and in the end what became of it.

Pure: no clock, no database, no Dagster. Tables for people fit 100 columns.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from dags.domain.text import counted, table_text, wrapped
from dags.managed_backfill.log import Days
from dags.publish.backup import backup_name
from dags.work import progress
from dags.work.progress import seconds_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from dags.managed_backfill.plan import Plan
    from dags.work.audit.log import State

# So many days are shown of which teams are held; more are counted.
SHOWN = 10


def plan_text(plan: Plan) -> str:
    """A plan on one screen: what will be done, in what order, and what it will take."""
    estimate, scope, strategy = plan.estimate, plan.scope, plan.strategy
    lines = [
        f"PLAN     {plan.name}",
        f"         asked by {plan.requested_by}: {plan.reason}",
        *_shard_text(plan),
        (
            f"SCOPE    {scope.table}, {counted(len(plan.days), 'day')} of {scope.start_date} … {scope.end_date}, "
            f"{counted(len(scope.team_ids), 'team')}"
        ),
        *(f"         {day} is left out: {why}" for day, why in scope.left_out.items()),
        *_held_text({day: held.words for day, held in scope.held.items()}),
        (
            f"HOW      {strategy.kind}, {counted(len(plan.chunks), 'chunk')}, {strategy.parallelism} at once, "
            f"{'newest' if strategy.newest_first else 'oldest'} first; on a failed gate: {strategy.on_gate_failure}"
        ),
        (
            f"ESTIMATE {estimate.rows:,} source rows with neighbours, {estimate.bytes / 1e9:,.2f} GB, "
            f"{seconds_in_words(estimate.seconds)}, {estimate.usd:,.2f} USD; a lower bound, from {scope.estimated_from}"
        ),
        f"BACKUP   {plan.rollback.backup}, kept {counted(plan.rollback.kept_days, 'day')}",
        "",
    ]
    rows = [
        (chunk.id, str(chunk), chunk.estimate.rows, seconds_in_words(chunk.estimate.seconds)) for chunk in plan.chunks
    ]
    shown = table_text(rows, ("chunk", "days", "source rows", "estimate"))
    return "\n".join([*(wrapped(line) for line in lines), shown])


def _shard_text(plan: Plan) -> list[str]:
    return [f"SHARD    {plan.scope.shard}"] * bool(plan.scope.shard)


def held_by_day(plan: Plan, state: State) -> dict[date, str]:
    """Why teams of some days keep their rows, in words: those that the plan left out, and those that a build held."""
    words_by_day: dict[date, list[str]] = defaultdict(list)
    for day, held in plan.scope.held.items():
        words_by_day[day].append(held.words)
    for day, entry in Days.of(state).done.items():
        if entry.payload:
            words_by_day[day].append(entry.payload)
    return {day: "; ".join(words) for day, words in sorted(words_by_day.items())}


def _held_text(words_by_day: Mapping[date, str]) -> list[str]:
    shown = [f"HELD     {day}: {words}" for day, words in list(words_by_day.items())[:SHOWN]]
    if len(words_by_day) > SHOWN:
        shown.append(f"HELD     … and {len(words_by_day) - SHOWN:,} more days")
    return [*shown, *["         they await a person: allow_shrink: true rebuilds them"] * bool(shown)]


def report(plan: Plan, state: State) -> dict[str, Any]:
    """The final report, for programs: that of any work, and which days hold teams that keep their rows.

    Where there are several shards, it has the one too that all of it is of.
    """
    return {
        "backfill_id": state.work_id,
        "table": plan.scope.table,
        **({"shard": plan.scope.shard} if plan.scope.shard else {}),
        **progress.report(plan.chunks, state),
        "held": {str(day): words for day, words in held_by_day(plan, state).items()},
    }


def report_text(plan: Plan, state: State) -> str:
    """The final report, for people."""
    notes = [*_shard_text(plan), *_held_text(held_by_day(plan, state))]
    if Days.of(state).backed_up:
        notes.append(f"BACKUP   {backup_name(state.work_id, plan.scope.table)}")
    return progress.report_text(plan.name, plan.chunks, state, notes=notes, steps="days")
