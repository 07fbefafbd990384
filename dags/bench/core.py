"""The pure core at a size that no installation has: every unit wrong. Needs no engine."""

from __future__ import annotations

import gc
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from dags.bench.figures import Spread, paragraph, table, verdict
from dags.bench.filling import NOW, TODAY
from dags.detection.judging import Suspects, Table, judge_day
from dags.detection.rules import Failure
from dags.detection.verdicts import Verdicts, microseconds
from dags.domain.units import Measure
from dags.repair.decision import Policy, Trigger, decide
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

TEAMS, DAYS, ROUNDS = 1000, 100, 5
QUICK_TEAMS, QUICK_DAYS, QUICK_ROUNDS = 10, 3, 1

TARGET_SECONDS = 2.0

POLICY = Policy(min_missing_partitions=3, max_days_per_run=7, max_days_per_day=28)

# What is the matter with a unit, in turns: (source, table, what the last build recorded, the build after that failed).
# Never built; built and lost; its build failed; stale, partial and in excess.
FULL = Measure(100, 300)
FAULTS: tuple[tuple[Measure, Measure, Measure | None, bool], ...] = (
    (FULL, Measure(), None, False),
    (FULL, Measure(), FULL, False),
    (FULL, Measure(), None, True),
    (FULL, Measure(80, 240), Measure(80, 240), False),
    (FULL, Measure(80, 240), FULL, False),
    (FULL, Measure(120, 360), None, False),
)


def core(*, quick: bool, progress: Callable[[str], None]) -> Iterator[str]:
    """Yield the text of the figures."""
    teams, days, rounds = (QUICK_TEAMS, QUICK_DAYS, QUICK_ROUNDS) if quick else (TEAMS, DAYS, ROUNDS)
    tables = _tables(teams, days)
    judged: list[float] = []
    decided: list[float] = []
    for number in range(1, rounds + 1):
        gc.collect()
        started = time.perf_counter()
        found = [judge_day(day, suspects).wrong for day, suspects in tables.items()]
        verdicts = Verdicts.joined(group for one in found for group in one.groups)
        middle = time.perf_counter()
        decide(verdicts, (), POLICY, trigger=Trigger.SCHEDULE, remaining=frozenset(), read_at=NOW, now=NOW)
        judged.append(middle - started)
        decided.append(time.perf_counter() - middle)
        if len(verdicts) < len(WEB_TABLES) * teams * days:
            raise AssertionError(f"all units are wrong, but only {len(verdicts):,} are found so")
        progress(f"core, round {number} of {rounds}: {judged[-1] + decided[-1]:.2f} s")
    yield _text(len(verdicts), Spread(tuple(judged)), Spread(tuple(decided)))


def _tables(teams: int, days: int) -> dict[date, dict[str, Table]]:
    built_at = NOW - timedelta(days=1)
    found: dict[date, dict[str, Table]] = {}
    for age in range(days):
        day = TODAY - timedelta(days=2 + age)
        found[day] = {}
        for which, one in enumerate(WEB_TABLES):
            faults = [FAULTS[(which + age + team) % len(FAULTS)] for team in range(teams)]
            facts = [
                (
                    1 + team, source.total, source.total, microseconds(built_at), target.total,
                    *(recorded or Measure()), 0, 0 if recorded is None else microseconds(built_at),
                )
                for team, (source, target, recorded, _) in enumerate(faults)
            ]  # fmt: skip
            found[day][one.name] = Table(
                Suspects.of(list(zip(*facts, strict=True))),
                {1 + team: source for team, (source, *_) in enumerate(faults)},
                {1 + team: target for team, (_, target, *_) in enumerate(faults) if target},
                {
                    1 + team: Failure("bench", built_at, "Memory limit exceeded")
                    for team, (*_, has_failed) in enumerate(faults)
                    if has_failed
                },
                one.agrees_with,
                one.words,
            )
    return found


def _text(units: int, judged: Spread, decided: Spread) -> str:
    whole = Spread(tuple(one + other for one, other in zip(judged.values, decided.values, strict=True)))
    return "\n".join(
        [
            f"the pure core: {units:,} wrong units",
            "",
            table(
                ["what", "seconds (min–max)"],  # noqa: RUF001 -- a range
                [["judged", judged.seconds], ["decided", decided.seconds], ["both", whole.seconds]],
            ),
            "",
            paragraph(
                """Of signals that are in memory already: missing for three reasons, stale, partial and in excess, in
                turns, and the two tables compared with each other."""
            ),
            "  "
            + verdict(
                f"under {TARGET_SECONDS:.0f} s",
                f"judging and deciding take {whole.seconds}",
                is_met=whole.median < TARGET_SECONDS,
            ),
        ]
    )
