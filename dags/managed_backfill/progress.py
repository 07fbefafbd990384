"""Says how far a backfill is, and in the end what became of it.

Pure: no clock, no database, no Dagster. Tables for people fit 100 columns.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dags.domain.text import table_text, wrapped
from dags.managed_backfill.log import Days
from dags.managed_backfill.plan import Chunk, backup_name, seconds_in_words, time_left, total
from dags.work.audit.log import Event, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from dags.managed_backfill.plan import Plan
    from dags.work.audit.log import Entry, State

BAR = 20

# So many days are shown of which teams are held; more are counted.
SHOWN = 10


@dataclass(frozen=True)
class ChunkState:
    """A chunk and what its days have come to."""

    chunk: Chunk
    status: str
    rows: int
    source_rows: int
    seconds: float
    error: str

    def as_dict(self) -> dict[str, Any]:
        days = sorted(self.chunk.days)
        return {
            "id": self.chunk.id,
            "date_range": f"{days[0]} … {days[-1]}",
            "status": self.status,
            "rows": self.rows,
            "source_rows": self.source_rows,
            "seconds": round(self.seconds, 1),
            "error": self.error,
        }


def chunk_states(plan: Plan, state: State) -> tuple[ChunkState, ...]:
    """Every chunk with its status: planned, part done, done, failed, or restored."""
    restored = {entry.step for entry in state.entries if entry.event == Event.STEP_UNDONE}
    days, found = Days.of(state), []
    for chunk in plan.chunks:
        done = [days.done[day] for day in chunk.days if day in days.done]
        failed = [days.failed[day] for day in chunk.days if day in days.failed]
        if len(done) == len(chunk.days):
            status = "done"
        elif failed:
            status = "failed"
        elif not done and restored & set(map(str, chunk.days)):
            status = "restored"
        else:
            status = "part done" if done else "planned"
        error = "; ".join(f"{entry.step}: {entry.payload}" for entry in failed)
        found.append(
            ChunkState(
                chunk,
                status,
                sum(entry.rows for entry in done),
                sum(entry.source_rows for entry in done),
                sum(entry.seconds for entry in (*done, *failed)),
                error,
            )
        )
    return tuple(found)


@dataclass(frozen=True)
class Progress:
    """How far a backfill is; ``elapsed`` seconds include the planning, and all of its runs."""

    percent: float
    elapsed: float
    left: float
    source_rows: int
    source_rows_estimated: int

    def bar(self) -> str:
        full = int(self.percent / 100 * BAR)
        return f"[{'█' * full}{'░' * (BAR - full)}] {self.percent:3.0f} %"

    def __str__(self) -> str:
        return (
            f"{self.bar()}  {self.source_rows:,} of {self.source_rows_estimated:,} source rows, "
            f"{seconds_in_words(self.elapsed)}, {seconds_in_words(self.left)} left"
        )


def progress(plan: Plan, done: Mapping[date, Entry], seconds: float) -> Progress:
    """How far it is, by the estimate's seconds and not by its days, for days differ."""
    share = {day: _share(chunk, day) for chunk in plan.chunks for day in chunk.days}
    whole = plan.estimate
    finished = [day for day in share if day in done]
    part = sum(share[day] for day in finished)
    whole_share = sum(share.values())
    percent = 100 * part / whole_share if whole_share else 100.0
    spent = whole.model_copy(update={"seconds": whole.seconds * percent / 100})
    rest = whole.model_copy(update={"seconds": whole.seconds * (1 - percent / 100)})
    return Progress(
        percent=percent,
        elapsed=seconds,
        left=time_left(rest, spent, seconds),
        source_rows=sum(done[day].source_rows for day in finished),
        source_rows_estimated=whole.rows,
    )


def _share(chunk: Chunk, day: date) -> float:
    """What part of the whole a day is: its chunk's seconds in equal parts, or simply one where nothing is estimated."""
    return (chunk.estimate.seconds or 1.0) / len(chunk.days) if day in chunk.days else 0.0


def seconds_at_work(state: State) -> float:
    """Seconds of planning, and between each start and its end, of all runs; of one that goes on until the log was read.

    All of them by ClickHouse's clock. A rollback is no work on the plan.
    """
    worked, began = state.accepted.seconds, None
    for entry in state.entries:
        if entry.event == Event.STARTED and entry.status != Status.ROLLING_BACK:
            began = entry.at
        elif entry.event == Event.ENDED and began is not None:
            worked += (entry.at - began).total_seconds()
            began = None
    return worked + ((state.read_at - began).total_seconds() if began is not None else 0.0)


def plan_text(plan: Plan) -> str:
    """A plan on one screen: what will be done, in what order, and what it will take."""
    estimate, scope, strategy = plan.estimate, plan.scope, plan.strategy
    lines = [
        f"PLAN     {plan.name}",
        f"         asked by {plan.requested_by}: {plan.reason}",
        (
            f"SCOPE    {scope.table}, {len(plan.days)} days of {scope.start_date} … {scope.end_date}, "
            f"{len(scope.team_ids):,} teams"
        ),
        *(f"         {day} is left out: {why}" for day, why in scope.left_out.items()),
        *_held_text({day: held.words for day, held in scope.held.items()}),
        (
            f"HOW      {strategy.kind}, {len(plan.chunks)} chunks, {strategy.parallelism} at once, "
            f"{'newest' if strategy.newest_first else 'oldest'} first; on a failed gate: {strategy.on_gate_failure}"
        ),
        (
            f"ESTIMATE {estimate.rows:,} source rows, {estimate.bytes / 1e9:,.2f} GB, "
            f"{seconds_in_words(estimate.seconds)}, {estimate.usd:,.2f} USD; a lower bound, from {scope.estimated_from}"
        ),
        f"BACKUP   {plan.rollback.backup}, kept {plan.rollback.kept_days} days",
        "",
    ]
    rows = [
        (chunk.id, str(chunk), chunk.estimate.rows, seconds_in_words(chunk.estimate.seconds)) for chunk in plan.chunks
    ]
    shown = table_text(rows, ("chunk", "days", "source rows", "estimate"))
    return "\n".join([*(wrapped(line) for line in lines), shown])


def held_by_day(plan: Plan, state: State) -> dict[date, str]:
    """Why teams of some days keep their rows, in words: those that the plan left out, and those that a build held."""
    told: dict[date, list[str]] = defaultdict(list)
    for day, held in plan.scope.held.items():
        told[day].append(held.words)
    for day, entry in Days.of(state).done.items():
        if entry.payload:
            told[day].append(entry.payload)
    return {day: "; ".join(words) for day, words in sorted(told.items())}


def _held_text(words_by_day: Mapping[date, str]) -> list[str]:
    shown = [f"HELD     {day}: {words}" for day, words in list(words_by_day.items())[:SHOWN]]
    if len(words_by_day) > SHOWN:
        shown.append(f"HELD     … and {len(words_by_day) - SHOWN:,} more days")
    return [*shown, *["         they await a person: allow_shrink: true rebuilds them"] * bool(shown)]


def chunks_text(states: Iterable[ChunkState]) -> str:
    """The table of chunks, actual beside estimate."""
    rows = [
        (
            one.chunk.id,
            str(one.chunk),
            one.status,
            one.rows,
            one.source_rows,
            one.chunk.estimate.rows,
            seconds_in_words(one.seconds),
            seconds_in_words(one.chunk.estimate.seconds),
        )
        for one in states
    ]
    columns = ("chunk", "days", "status", "rows", "source rows", "estimated", "took", "estimated")
    return table_text(rows, columns)


def report(plan: Plan, state: State) -> dict[str, Any]:
    """The final report, for programs: totals, each chunk, and actual against estimate."""
    states = chunk_states(plan, state)
    estimate, seconds = total(chunk.estimate for chunk in plan.chunks), seconds_at_work(state)
    return {
        "backfill_id": state.work_id,
        "status": state.status,
        "table": plan.scope.table,
        "total_chunks": len(states),
        "successful": sum(one.status == "done" for one in states),
        "failed": sum(one.status == "failed" for one in states),
        "total_rows": sum(one.rows for one in states),
        "seconds": round(seconds, 1),
        "estimated_seconds": estimate.seconds,
        "source_rows": sum(one.source_rows for one in states),
        "estimated_source_rows": estimate.rows,
        "held": {str(day): words for day, words in held_by_day(plan, state).items()},
        "chunks": [one.as_dict() for one in states],
        "gates": [
            {"name": gate.name, "chunk": gate.chunk, "passed": gate.is_passed, "measured": gate.payload}
            for gate in state.gates()
        ],
    }


def report_text(plan: Plan, state: State) -> str:
    """The final report, for people: what became of it, its chunks, and the gates that failed."""
    told = report(plan, state)
    reached = progress(plan, Days.of(state).done, told["seconds"])
    lines = [
        f"{state.status.upper():<8} {state.work_id}: {plan.name}",
        (
            f"         {reached.bar()}  {told['successful']} of {told['total_chunks']} chunks done, {told['failed']} "
            f"failed; {told['total_rows']:,} rows"
        ),
        (
            f"         {told['source_rows']:,} source rows of {told['estimated_source_rows']:,} estimated, "
            f"{seconds_in_words(told['seconds'])} of {seconds_in_words(told['estimated_seconds'])}"
        ),
    ]
    gates = state.gates()
    failed = [gate for gate in gates if not gate.is_passed]
    lines += [wrapped(line) for line in _held_text(held_by_day(plan, state))]
    lines += [f"BACKUP   {backup_name(state.work_id, plan.scope.table)}"] if Days.of(state).backed_up else []
    lines += [f"GATES    {len(gates) - len(failed)} passed, {len(failed)} failed"] if gates else []
    lines += [wrapped(f"FAILED   {gate.name}{_where(gate)}: {gate.payload}") for gate in failed]
    lines += [wrapped(f"FAILED   {entry.step}: {entry.payload}") for entry in state.failed.values()]
    return "\n".join([*lines, "", chunks_text(chunk_states(plan, state))])


def _where(gate: Entry) -> str:
    return f" of {gate.step}" if gate.chunk else ""
