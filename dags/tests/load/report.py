"""What was seen under load, what it amounts to, and how it is printed.

Pure: nothing is measured here; no clock, no database, no Dagster.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median, quantiles
from typing import TYPE_CHECKING

from dags.bench.figures import MEBIBYTE, Spread, paragraph, table, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

# Readers wait at most so many times as long while backfills are at work, of a hundred looks in all but one.
READERS_TARGET = 1.2

# Memory of the last third of the time against the middle third. The first third is left out: modules are imported,
# caches and pools are filled in it. Python gives pages back seldom and in lumps: hence the twentieth.
MEMORY_TARGET = 1.05

# Of a sensor's evaluation, what is left of Dagster's own limit of 60 s (`dags.dagster_runs.resource.TICK_SECONDS`).
TICK_TARGET_SECONDS = 50.0

QUIET, AT_WORK = "quiet", "backfills at work"

# The floor: as many programs as there are cores, of the lowest priority, which count and touch no data. Nothing that
# takes what readers leave of the cores can be of less harm to them.
FLOOR = "counting programs"

CHART_WIDTH = 60
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Look:
    """A reader's question: when it was asked, and how long the reader waited for the answer."""

    began: float
    seconds: float


@dataclass(frozen=True)
class Phase:
    """A stretch of time that is quiet, or in which backfills, or programs that only count, are at work throughout."""

    kind: str
    began: float
    ended: float

    def has(self, moment: float) -> bool:
        return self.began <= moment < self.ended

    def of(self, looks: Iterable[Look]) -> list[float]:
        """How long readers waited for what they asked in it."""
        return [look.seconds for look in looks if self.has(look.began)]


@dataclass(frozen=True)
class Sample:
    """What a process took up at a moment."""

    at: float
    process: str
    memory_bytes: int
    descriptors: int
    threads: int


@dataclass
class Seen:
    """All that was seen: looks, phases, samples, seconds of evaluations by sensor, runs by how they ended.

    Phases are in turns, and quiet ones are the first and the last.
    """

    teams: int
    days: int
    events: int
    looks: list[Look] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    ticks: dict[str, list[float]] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    # Units that are still wrong in the end, or whatever else must not be.
    left: list[str] = field(default_factory=list)


def percentile(values: Sequence[float], hundredth: int) -> float:
    """Below which so many hundredths of the values lie."""
    return quantiles(values, n=100, method="inclusive")[hundredth - 1]


def ratios(seen: Seen, hundredth: int) -> Spread:
    """Of each phase at work to the quiet one before it."""
    return Spread(
        tuple(
            percentile(at_work.of(seen.looks), hundredth) / percentile(quiet.of(seen.looks), hundredth)
            for quiet, at_work in pairwise(seen.phases)
            if at_work.kind == AT_WORK
        )
    )


def pooled(seen: Seen, kind: str) -> list[float]:
    return [seconds for phase in seen.phases if phase.kind == kind for seconds in phase.of(seen.looks)]


def thirds(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """The middle and the last third of the time."""
    first, last = samples[0].at, samples[-1].at
    third = (last - first) / 3
    middle = [one for one in samples if first + third <= one.at < last - third]
    return middle, [one for one in samples if one.at >= last - third]


def report(seen: Seen) -> tuple[str, bool]:
    """The text, and whether every target is met."""
    verdicts = [*_readers_verdicts(seen), *_processes_verdicts(seen), *_work_verdicts(seen)]
    work = ", ".join(f"{count} {status}" for status, count in sorted(seen.runs.items()))
    text = [
        f"load: {seen.teams:,} teams × {seen.days} days × 2 tables, {seen.events:,} events; runs: {work or 'none'}",
        "",
        _readers(seen),
        "",
        _ticks(seen.ticks),
        "",
        *_processes(seen),
        "",
        paragraph(
            """A reader asks for the merged states of one team over 7 or 30 days, eight times a second. The six hours
            between two ticks are left out: the sensor is due again as soon as the runs of the tick before are over and
            the readers had a quiet phase. All else goes at its own pace, and on one machine: readers lack what runs,
            too, take of its cores. What that alone costs is seen beside as many programs of the lowest priority as
            there are cores, which count and touch no data."""
        ),
        f"  {_floor_in_words(seen)}",
        *(f"  {verdict(target, figure, is_met=is_met)}" for target, figure, is_met in verdicts),
    ]
    return "\n".join(text), all(is_met for *_, is_met in verdicts)


def _readers(seen: Seen) -> str:
    rows = []
    for kind in (QUIET, FLOOR, AT_WORK):
        waited = pooled(seen, kind)
        count = sum(phase.kind == kind for phase in seen.phases)
        shown = [f"{1000 * percentile(waited, hundredth):.1f}" for hundredth in (50, 95, 99)]
        rows.append([kind, f"{count}", f"{len(waited):,}", *shown, f"{1000 * max(waited):.0f}"])
    return table(["readers", "phases", "looks", "p50 ms", "p95 ms", "p99 ms", "longest ms"], rows)


def _ticks(ticks: Mapping[str, Sequence[float]]) -> str:
    rows = [
        [name, f"{len(seconds)}", f"{median(seconds):.2f}", f"{seconds[-1]:.2f}", f"{max(seconds):.2f}"]
        for name, seconds in sorted(ticks.items())
    ]
    return table(["evaluations", "ticks", "median s", "last s", "longest s"], rows)


def _by_process(seen: Seen) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = defaultdict(list)
    for one in seen.samples:
        found[one.process].append(one)
    return found


@dataclass(frozen=True)
class _Measure:
    """Something that is counted of a process, and with how many decimals it is shown."""

    name: str
    of: Callable[[Sample], float]
    decimals: int = 0


_MEMORY = _Measure("memory MiB", lambda one: one.memory_bytes / MEBIBYTE, 1)
_COUNTED = (_Measure("descriptors", lambda one: one.descriptors), _Measure("threads", lambda one: one.threads))


def _processes(seen: Seen) -> list[str]:
    rows, charts = [], []
    for name, samples in _by_process(seen).items():
        middle, last = thirds(samples)
        for measure in (_MEMORY, *_COUNTED):
            words = f"{name}: {measure.name}"
            medians = [median(map(measure.of, some)) for some in (samples[:5], middle, last)]
            shown = [f"{value:.{measure.decimals}f}" for value in (*medians, max(map(measure.of, samples)))]
            rows.append([words, *shown])
            charts.append(f"  {words}".ljust(28) + chart([measure.of(one) for one in samples]))
    return [table(["process", "at first", "middle third", "last third", "most"], rows), "", *charts]


def chart(values: Sequence[float]) -> str:
    """The values over time in one line, from the least to the greatest of them, which stand beside it."""
    width = min(CHART_WIDTH, len(values))
    low, high = min(values), max(values)
    parts = [values[n * len(values) // width : (n + 1) * len(values) // width] for n in range(width)]
    step = (high - low) / (len(_BARS) - 1) or 1
    return "".join(_BARS[round((median(part) - low) / step)] for part in parts) + f"  {low:,.0f} … {high:,.0f}"


def _times_quiet(seen: Seen, kind: str) -> float:
    return percentile(pooled(seen, kind), 99) / percentile(pooled(seen, QUIET), 99)


def _floor_in_words(seen: Seen) -> str:
    floor = _times_quiet(seen, FLOOR)
    over = _times_quiet(seen, AT_WORK) / floor
    return (
        f"the floor: beside these readers wait {floor:.2f} × as long at p99 as at quiet times; beside backfills "
        f"{over:.2f} × as long as at the floor"
    )


Verdict = tuple[str, str, bool]


def _readers_verdicts(seen: Seen) -> list[Verdict]:
    ratio = _times_quiet(seen, AT_WORK)
    return [
        (
            f"at most {READERS_TARGET} ×",
            f"with backfills at work readers wait {ratio:.2f} × as long at p99; by phase {ratios(seen, 99).times}",
            ratio <= READERS_TARGET,
        )
    ]


def _processes_verdicts(seen: Seen) -> list[Verdict]:
    """What grows is a leak.

    Descriptors and threads come and go with each run, so it counts how many there are at least in a quiet phase: in the
    last one against the first one that comes after runs, for pools and connections are opened by these.
    """
    _, first, *_, last_phase = [phase for phase in seen.phases if phase.kind == QUIET]
    found: list[Verdict] = []
    for name, samples in _by_process(seen).items():
        middle, last = thirds(samples)
        growth = median(one.memory_bytes for one in last) / median(one.memory_bytes for one in middle)
        found.append(
            (
                f"at most {MEMORY_TARGET} ×",
                f"{name}: memory of the last third is {growth:.3f} × that of the middle third",
                growth <= MEMORY_TARGET,
            )
        )
        for measure in _COUNTED:
            before, after = (
                min(measure.of(one) for one in samples if phase.has(one.at)) for phase in (first, last_phase)
            )
            words = f"{name}: {after:.0f} {measure.name} when all is done, {before:.0f} after the first runs"
            found.append(("no more", words, after <= before))
    return found


def _work_verdicts(seen: Seen) -> list[Verdict]:
    longest = max((seconds for some in seen.ticks.values() for seconds in some), default=0.0)
    unlike = {status: count for status, count in seen.runs.items() if status != "SUCCESS"}
    return [
        (
            f"under {TICK_TARGET_SECONDS:.0f} s",
            f"the longest evaluation took {longest:.2f} s",
            longest < TICK_TARGET_SECONDS,
        ),
        ("every run SUCCESS", f"runs: {unlike or seen.runs}", bool(seen.runs) and not unlike),
        ("nothing left", "; ".join(seen.left) or "all that was lost is built again", not seen.left),
    ]
