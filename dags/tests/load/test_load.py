"""What was seen under load amounts to what it is: each target is missed by what misses it, and by nothing else."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dags.tests.clickhouse_server import require_or_skip_reason
from dags.tests.load.report import AT_WORK, FLOOR, QUIET, Look, Phase, Sample, Seen, chart, ratios, report, thirds

if TYPE_CHECKING:
    from collections.abc import Callable

MEBIBYTE = 1024 * 1024
PROCESSES = ("daemon", "code server")


def right() -> Seen:
    """Two rounds of 100 s each, quiet ones around them, of readers and processes that nothing harms."""
    kinds = (QUIET, AT_WORK, FLOOR, QUIET, AT_WORK, FLOOR, QUIET)
    phases = [Phase(kind, 100.0 * number, 100.0 * number + 100) for number, kind in enumerate(kinds)]
    return Seen(
        teams=2,
        days=3,
        events=240,
        looks=[Look(n / 10, 0.010 + n % 100 / 10_000) for n in range(7000)],
        phases=phases,
        # Each run comes with descriptors and a thread of its own, and goes with them.
        samples=[
            Sample(at, name, (300 + at % 7) * MEBIBYTE, 20 + at % 10, 30 + at % 3)
            for at in range(0, 700, 2)
            for name in PROCESSES
        ],
        ticks={"web_analytics_backfill_sensor": [3.0, 1.0, 1.2]},
        runs={"SUCCESS": 14},
    )


def missed(seen: Seen) -> list[str]:
    """The lines of what is missed; none exactly where the whole is met."""
    text, is_met = report(seen)
    lines = [line.strip() for line in text.splitlines() if line.startswith("  MISSED")]
    assert is_met is not bool(lines)
    return lines


def slower(seen: Seen, by: float, kind: str = AT_WORK) -> None:
    """Every look of such phases takes so many times as long."""
    stretches = [phase for phase in seen.phases if phase.kind == kind]
    seen.looks = [
        replace(look, seconds=look.seconds * by) if any(p.began <= look.began < p.ended for p in stretches) else look
        for look in seen.looks
    ]


def grown(seen: Seen, name: str, **by: float) -> None:
    """In the last third a process has more of something."""
    seen.samples = [
        replace(one, **{what: getattr(one, what) + more for what, more in by.items()})
        if one.process == name and one.at > 464
        else one
        for one in seen.samples
    ]


def test_what_nothing_harms_meets_every_target() -> None:
    assert missed(right()) == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda seen: slower(seen, 1.25), "with backfills at work readers wait 1.25 × as long at p99"),
        (lambda seen: grown(seen, "daemon", memory_bytes=20 * MEBIBYTE), "daemon: memory of the last third is 1.066 ×"),
        (
            lambda seen: grown(seen, "code server", descriptors=1),
            "code server: 21 descriptors when all is done, 20 after",
        ),
        (lambda seen: grown(seen, "daemon", threads=1), "daemon: 31 threads when all is done, 30 after the first"),
        (lambda seen: seen.ticks["web_analytics_backfill_sensor"].append(50.0), "the longest evaluation took 50.00 s"),
        (lambda seen: seen.runs.update(FAILURE=1), "runs: {'FAILURE': 1}"),
        (lambda seen: seen.runs.clear(), "runs: {}"),
        (lambda seen: seen.left.append("2 units are wrong"), "2 units are wrong"),
    ],
    ids=["readers", "memory", "descriptors", "threads", "ticks", "runs", "no runs", "left"],
)
def test_each_target_is_missed_alone_by_what_misses_it(spoil: Callable[[Seen], object], words: str) -> None:
    seen = right()
    spoil(seen)
    [line] = missed(seen)
    assert line.startswith(f"MISSED  {words}")


def test_readers_who_are_slow_at_quiet_times_too_are_not_harmed_by_backfills() -> None:
    seen = right()
    slower(seen, 2.0, AT_WORK)
    slower(seen, 2.0, QUIET)
    assert missed(seen) == []


def test_the_floor_is_told_beside_what_backfills_cost_and_is_no_target() -> None:
    seen = right()
    slower(seen, 1.5, FLOOR)
    slower(seen, 1.1, AT_WORK)
    assert missed(seen) == []
    words = "the floor: beside these readers wait 1.50 × as long at p99 as at quiet times; beside backfills 0.73 × as"
    assert words in report(seen)[0]


def test_what_is_looked_at_between_phases_counts_in_none() -> None:
    seen = right()
    seen.looks += [Look(700.0 + n, 9.0) for n in range(1000)]
    assert missed(seen) == []
    assert ratios(seen, 99).values == (1.0, 1.0)


def test_the_first_third_is_left_out_and_the_others_are_of_time_not_of_samples() -> None:
    samples = [Sample(at, "daemon", 1, 1, 1) for at in (0.0, 0.1, 0.2, 0.3, 40.0, 80.0, 90.0)]
    middle, last = thirds(samples)
    assert [[one.at for one in some] for some in (middle, last)] == [[40.0], [80.0, 90.0]]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([1.0, 1.0], "▁▁  1 … 1"),
        ([1.0, 2.0, 3.0], "▁▅█  1 … 3"),
        ([*[5.0] * 60, *[12.0] * 60], "▁" * 30 + "█" * 30 + "  5 … 12"),
    ],
    ids=["flat", "rising", "longer than the line"],
)
def test_a_chart_has_the_least_at_the_bottom_and_the_greatest_at_the_top(values: list[float], line: str) -> None:
    assert chart(values) == line


@pytest.mark.slow(minutes=4)
def test_a_short_operation_under_load_is_done_whole_tells_everything_and_leaves_no_descriptor_open() -> None:
    if reason := require_or_skip_reason():
        pytest.skip(reason)
    small = ("--minutes", "1", "--teams", "50", "--days", "9", "--quiet-seconds", "15", "--lost-days", "2")
    command = [sys.executable, "-m", "dags.tests.load", *small]
    played = subprocess.run(command, capture_output=True, text=True, check=False)
    said = f"{played.stdout}\n{played.stderr[-4000:]}"
    lines = [line.strip() for line in played.stdout.splitlines()]
    met = [line for line in lines if line.startswith("MET")]
    # Whether readers and memory meet their targets says nothing in a minute, on a machine that has tests to run.
    assert all("readers" in line or "memory" in line for line in lines if line[:6] == "MISSED"), said
    assert sum("descriptors" in line for line in met) == len(PROCESSES), said
    assert any(line.startswith("MET  all that was lost is built again") for line in met), said
    assert any(line.startswith("web_analytics_backfill_sensor") for line in lines), said
    assert [line.split()[1] for line in lines if line.startswith((QUIET, FLOOR, AT_WORK))] != [], said
    assert played.returncode == int(len(met) < 10), said
