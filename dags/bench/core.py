"""The pure core at a size that no installation has: every unit wrong. Needs no engine."""

from __future__ import annotations

import gc
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from dags.bench.figures import Spread, paragraph, table, verdict
from dags.bench.filling import NOW, TODAY
from dags.units import Fingerprint, Measure, Outcome, Unit
from dags.web_preaggregated.tables import WEB_TABLES
from dags.web_preaggregated_backfill.decision import Policy, Trigger, decide
from dags.web_preaggregated_backfill.rules import Build, Failure, Signals, with_inconsistencies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    signals = _signals(teams, days)
    judged: list[float] = []
    decided: list[float] = []
    for number in range(1, rounds + 1):
        gc.collect()
        started = time.perf_counter()
        verdicts = with_inconsistencies(signals, {one.name: one.agrees_with for one in WEB_TABLES})
        middle = time.perf_counter()
        decide(verdicts, (), POLICY, trigger=Trigger.SCHEDULE, open_days=frozenset(), read_at=NOW, now=NOW)
        judged.append(middle - started)
        decided.append(time.perf_counter() - middle)
        if wrong := [one for one in verdicts if not one.is_wrong]:
            raise AssertionError(f"all units are wrong, but {wrong[0]}")
        progress(f"core, round {number} of {rounds}: {judged[-1] + decided[-1]:.2f} s")
    yield _text(len(signals), Spread(tuple(judged)), Spread(tuple(decided)))


def _signals(teams: int, days: int) -> list[Signals]:
    found = []
    for number in range(len(WEB_TABLES) * teams * days):
        place, team = divmod(number, teams)
        which, age = divmod(place, days)
        source, target, recorded, has_failed = FAULTS[number % len(FAULTS)]
        day = TODAY - timedelta(days=2 + age)
        built_at = NOW - timedelta(days=1)
        found.append(
            Signals(
                Unit(WEB_TABLES[which].name, 1 + team, day),
                source,
                target,
                Fingerprint(source.total, source.total, built_at),
                is_open=False,
                last_build=None if recorded is None else Build(Outcome.BUILT, recorded, built_at),
                last_failure=Failure("bench", built_at, "Memory limit exceeded") if has_failed else None,
            )
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
