"""Says how much of a piece of work is done, how long the rest will take, and in the end what became of it.

Pure: no clock, no database, no Dagster. Tables for people fit 100 columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dags.domain.text import counted, table_text, wrapped
from dags.work import history
from dags.work.audit.log import DIED, Event, Status
from dags.work.plan import total

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from dags.work.audit.log import Entry, State
    from dags.work.plan import Chunk, Estimate

BAR = 20

_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True)
class ChunkState:
    """A chunk and what its steps have come to.

    ``rows`` are those of its steps as each was left, written or put back; all else is of what was done, undone since or
    not. The steps' sources hold ``own_source_rows``, and ``source_rows`` with their neighbours that bear on them, once
    for each step; ``rows_read`` and ``bytes_read`` are ClickHouse's figures, of failed steps as well, None where
    it does not say.
    """

    chunk: Chunk
    status: str
    rows: int
    source_rows: int
    own_source_rows: int
    rows_read: int | None
    bytes_read: int | None
    seconds: float
    error: str

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            **self.chunk.named(),
            "status": self.status,
            "rows": self.rows,
            "source_rows": self.own_source_rows,
            "source_rows_with_neighbours": self.source_rows,
            "rows_read": self.rows_read,
            "estimated_source_rows_with_neighbours": self.chunk.estimate.rows,
            "seconds": round(self.seconds, 1),
            "error": self.error,
        }


def chunk_states(chunks: Sequence[Chunk], state: State) -> tuple[ChunkState, ...]:
    """Every chunk with its status: planned, part done, done, failed, or restored."""
    found = []
    for chunk in chunks:
        done = [state.done[step] for step in chunk.steps if step in state.done]
        did = [state.did[step] for step in chunk.steps if step in state.did]
        undone = [state.undone[step] for step in chunk.steps if step in state.undone]
        failed = [state.failed[step] for step in chunk.steps if step in state.failed]
        if len(done) == len(chunk.steps):
            status = "done"
        elif failed:
            status = "failed"
        elif not done and undone:
            status = "restored"
        else:
            status = "part done" if done else "planned"
        found.append(
            ChunkState(
                chunk,
                status,
                sum(entry.rows for entry in (*done, *undone)),
                sum(entry.source_rows for entry in did),
                sum(entry.own_source_rows for entry in did),
                _told(entry.rows_read for entry in _read_of(did, failed)),
                _told(entry.bytes_read for entry in _read_of(did, failed)),
                sum(entry.seconds for entry in (*did, *failed)),
                "; ".join(f"{entry.step}: {entry.payload}" for entry in failed),
            )
        )
    return tuple(found)


def _read_of(did: Iterable[Entry], failed: Iterable[Entry]) -> Iterable[Entry]:
    """The steps that tell what was read: also those that failed after they had read, for that was read all the same."""
    return [*did, *(entry for entry in failed if entry.rows_read)]


def _told(figures: Iterable[int]) -> int | None:
    """A sum of what ClickHouse says it has read; None if it says so of none, or not of all."""
    every = tuple(figures)
    return sum(every) if every and all(every) else None


def bar(percent: float) -> str:
    """So much of the whole, as a picture and in figures."""
    full = int(percent / 100 * BAR)
    return f"[{'█' * full}{'░' * (BAR - full)}] {percent:3.0f} %"


@dataclass(frozen=True)
class Progress:
    """How much is done; ``elapsed`` seconds include the planning, and all runs."""

    percent: float
    elapsed: float
    left: float
    source_rows: int
    source_rows_estimated: int

    def bar(self) -> str:
        return bar(self.percent)

    def __str__(self) -> str:
        # Of files nobody knows the rows before they are read.
        of = f"{self.source_rows:,} of {self.source_rows_estimated:,} source rows with neighbours"
        rows = of if self.source_rows_estimated else f"{self.source_rows:,} rows"
        return f"{self.bar()}  {rows}, {seconds_in_words(self.elapsed)}, {seconds_in_words(self.left)} left"


def progress(chunks: Sequence[Chunk], done: Mapping[str, Entry], seconds: float) -> Progress:
    """How much is done, by the estimate's seconds and not by the number of steps, for steps differ."""
    # Each step of a chunk is an equal part of it; where nothing is estimated, steps count alike.
    share = {step: (chunk.estimate.seconds or 1.0) / len(chunk.steps) for chunk in chunks for step in chunk.steps}
    whole = total(chunk.estimate for chunk in chunks)
    finished = [step for step in share if step in done]
    part, whole_share = sum(share[step] for step in finished), sum(share.values())
    # All of it is all of it, whatever sums of fractions come to.
    percent = 100.0 if len(finished) == len(share) else 100 * part / whole_share
    spent = whole.model_copy(update={"seconds": whole.seconds * percent / 100})
    rest = whole.model_copy(update={"seconds": whole.seconds * (1 - percent / 100)})
    return Progress(
        percent=percent,
        elapsed=seconds,
        left=time_left(rest, spent, seconds),
        source_rows=sum(done[step].source_rows for step in finished),
        source_rows_estimated=whole.rows,
    )


def seconds_at_work(state: State) -> float:
    """Seconds of planning, and between each start and its end, of all runs; of one that goes on until the log was read.

    A run that died was at work until it was last heard of: how long nobody noticed is no work. All seconds are by
    ClickHouse's clock, which the stamps that order a log may be ahead of. A rollback is no work on the plan.
    """
    worked, begun, heard_at = state.accepted.seconds, None, state.read_at
    for entry in state.entries:
        if entry.event in (Event.STARTED, Event.ENDED):
            if begun is not None:
                is_its_end = entry.event == Event.ENDED and entry.run_id == begun.run_id and entry.name != DIED
                worked += _seconds_between(begun.server_at, entry.server_at if is_its_end else heard_at)
            is_work = entry.event == Event.STARTED and entry.status != Status.ROLLING_BACK
            begun, heard_at = entry if is_work else None, entry.server_at
        elif begun is not None and entry.run_id == begun.run_id:
            heard_at = entry.server_at
    if begun is None:
        return worked
    return worked + _seconds_between(begun.server_at, state.read_at if state.status == begun.status else heard_at)


def _seconds_between(began: datetime, ended: datetime) -> float:
    """Seconds by a clock that may have been set back in between, which then tells none."""
    return max((ended - began).total_seconds(), 0.0)


def time_left(estimate_left: Estimate, estimate_done: Estimate, seconds_done: float) -> float:
    """Seconds that the rest will take: the estimate, corrected by how wrong it was for what is done.

    ``seconds_done`` includes the planning and the gates, so what they cost is spread over the rest as well. Before
    anything is done it is the estimate itself.
    """
    if estimate_done.seconds <= 0:
        return estimate_left.seconds
    return estimate_left.seconds * max(seconds_done, 0.0) / estimate_done.seconds


def took_text(seconds: float) -> str:
    """How long it was at work, beside a history that has also the time in which it was not."""
    return f"TOOK     {seconds_in_words(seconds)} of planning and of runs at work, without what lay between them"


def seconds_in_words(seconds: float) -> str:
    """Seconds as people say them: ``45 s``, ``12 min``, ``3.5 h``."""
    if math.isinf(seconds):
        return "unknown"
    if seconds < 1.5 * _MINUTE:
        return f"{seconds:.3g} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < 1.5 * _HOUR else f"{seconds / _HOUR:.1f} h"


def chunks_text(states: Iterable[ChunkState], steps: str = "steps") -> str:
    """The table of chunks, what each was estimated at beside it; ``source`` is with the neighbours, as the estimate is.

    ``steps``: what steps are called.
    """
    rows = [
        (
            one.chunk.id,
            str(one.chunk),
            one.status,
            one.rows,
            one.source_rows,
            one.chunk.estimate.rows,
            _or_unknown(one.rows_read),
            seconds_in_words(one.seconds),
            seconds_in_words(one.chunk.estimate.seconds),
        )
        for one in states
    ]
    columns = ("chunk", steps, "status", "rows", "source", "estimated", "read", "took", "estimated")
    return table_text(rows, columns)


def _or_unknown(figure: int | None) -> int | str:
    return "-" if figure is None else figure


def report(chunks: Sequence[Chunk], state: State) -> dict[str, Any]:
    """The final report, for programs: totals, each chunk, each gate, and actual against estimate."""
    states = chunk_states(chunks, state)
    estimate = total(chunk.estimate for chunk in chunks)
    return {
        "status": state.status,
        **history.as_dict(state),
        "total_chunks": len(states),
        "successful": sum(one.status == "done" for one in states),
        "failed": sum(one.status == "failed" for one in states),
        "total_rows": sum(one.rows for one in states),
        "seconds": round(seconds_at_work(state), 1),
        "estimated_seconds": estimate.seconds,
        "source_rows": sum(one.own_source_rows for one in states),
        "source_rows_with_neighbours": sum(one.source_rows for one in states),
        "rows_read": _told(entry.rows_read for entry in _read_of(state.did.values(), state.failed.values())),
        "estimated_source_rows_with_neighbours": estimate.rows,
        "estimated_source_bytes_with_neighbours": estimate.bytes,
        "bytes_read": _told(entry.bytes_read for entry in _read_of(state.did.values(), state.failed.values())),
        "chunks": [one.as_dict() for one in states],
        "gates": [
            {"name": gate.name, "chunk": gate.chunk, "passed": gate.is_passed, "measured": gate.payload}
            for gate in state.gates()
        ],
    }


def report_text(
    name: str, chunks: Sequence[Chunk], state: State, *, notes: Iterable[str] = (), steps: str = "steps"
) -> str:
    """The final report, for people: what became of it, its chunks, and the gates that failed.

    ``notes`` are lines of the kind's own, ``steps`` is what it calls steps.
    """
    sums, estimate = report(chunks, state), total(chunk.estimate for chunk in chunks)
    lines = [
        f"{state.status.upper():<8} {state.work_id}: {name}",
        *history.outcome(state.status, state.end),
        wrapped(f"         {_reached(chunks, state, sums, steps)}"),
        wrapped(
            f"SOURCE   {counted(sums['source_rows'], 'row')} of these {steps}; with the neighbours that bear on each "
            f"{sums['source_rows_with_neighbours']:,}, estimated {estimate.rows:,} ({estimate.bytes / 1e9:,.2f} GB)"
        ),
        wrapped(f"READ     {_read(sums['rows_read'], sums['bytes_read'])}"),
        wrapped(f"{took_text(sums['seconds'])}; estimated {seconds_in_words(estimate.seconds)} for the whole plan"),
        *map(wrapped, notes),
    ]
    lines += history.lines(state)
    lines += [*history.gates_text(state), *history.failures_text(state)]
    return "\n".join([*lines, "", chunks_text(chunk_states(chunks, state), steps)])


def _read(rows: int | None, size: int | None) -> str:
    """What was read in all, which no estimate is of: source rows more than once, and what is compared."""
    if rows is None:
        return "not told by this engine"
    return (
        f"{rows:,} rows, {(size or 0) / 1e9:,.2f} GB in all: source rows more than once, and what they are compared "
        "with; no estimate is of that"
    )


def _reached(chunks: Sequence[Chunk], state: State, sums: Mapping[str, Any], steps: str) -> str:
    """How much of it is done; or, if it was taken back, how much of what was done is as it was before."""
    if state.undone:
        ever, wrote = state.did.keys() | state.undone.keys(), sum(entry.rows for entry in state.did.values())
        return (
            f"{len(state.undone):,} of the {len(ever):,} {steps} that it had replaced are as they were before it: "
            f"{counted(sums['total_rows'], 'row')} now, {wrote:,} as it had written them"
        )
    reached = progress(chunks, state.done, sums["seconds"])
    whole, rows = counted(sums["total_chunks"], "chunk"), counted(sums["total_rows"], "row")
    return f"{reached.bar()}  {sums['successful']} of {whole} done, {sums['failed']} failed; {rows}"
