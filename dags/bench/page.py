"""The health page of an installation of many teams, as HTML: how long it takes, how long it is. Needs no engine."""

from __future__ import annotations

import gc
import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from dags.bench.core import POLICY
from dags.bench.figures import Spread, paragraph, table, verdict
from dags.bench.filling import NOW
from dags.clickhouse.sql import Cost
from dags.detection.detection import Detection
from dags.detection.gaps.rules import Gap
from dags.detection.rules import Cause, Kind, Verdict
from dags.detection.verdicts import Verdicts
from dags.domain.days import calendar
from dags.domain.units import Measure, Unit
from dags.health.facts import Evaluated, Facts
from dags.health.judging import judge
from dags.health.page import html_page
from dags.health.targets import Targets
from dags.repair.decision import Trigger, decide
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dags.health.causes import Health

TEAMS, DAYS, ROUNDS = 10_000, 30, 5
QUICK_TEAMS, QUICK_DAYS, QUICK_ROUNDS = 50, 3, 1

# So many of a hundred units are wrong; all of them as well, as when tables are lost.
SHARES = (1, 100)

TARGET_SECONDS, TARGET_BYTES = 2.0, 2_000_000

FAULTS = (
    (Kind.MISSING, Cause.NEVER_BUILT), (Kind.MISSING, Cause.BUILD_FAILED), (Kind.STALE, Cause.SOURCE_GREW),
    (Kind.STALE, Cause.SOURCE_SHRANK), (Kind.PARTIAL, Cause.ROWS_LOST), (Kind.EXCESS, Cause.DIFFERS),
)  # fmt: skip


def page(*, quick: bool, progress: Callable[[str], None]) -> Iterator[str]:
    """Yield the text of the figures."""
    teams, days, rounds = (QUICK_TEAMS, QUICK_DAYS, QUICK_ROUNDS) if quick else (TEAMS, DAYS, ROUNDS)
    taken: dict[int, Spread] = {}
    sizes: dict[int, int] = {}
    for share in SHARES:
        health = _health(teams, days, share)
        seconds = []
        for number in range(1, rounds + 1):
            gc.collect()
            started = time.perf_counter()
            text = html_page(health)
            seconds.append(time.perf_counter() - started)
            progress(f"{share} % wrong, round {number} of {rounds}: {seconds[-1]:.2f} s")
        taken[share], sizes[share] = Spread(tuple(seconds)), len(text.encode())
    yield _text(teams, days, taken, sizes)


def _health(teams: int, days: int, share: int) -> Health:
    """So many of a hundred units are wrong, drawn at random with a seed; judged and decided as they would be."""
    drawn = random.Random(share)  # noqa: S311 -- no secret
    judged = calendar(NOW, lookback_days=days, settle=timedelta(hours=1))
    wrong = Verdicts.of(
        Verdict(
            Unit(one.name, team, day),
            *FAULTS[(team + day.day) % len(FAULTS)],
            source=Measure(9, 9),
            target=Measure(4, 4),
        )
        for one in WEB_TABLES
        for day in judged.judged
        for team in range(1, teams + 1)
        if drawn.random() * 100 < share
    )
    gaps = {(one.table, one.day, one.awaits_permission) for one in wrong.groups}
    found = Detection(
        read_at=NOW,
        calendar=judged,
        lookback_days=days,
        tables=tuple(one.name for one in WEB_TABLES),
        teams=teams,
        selected_at=NOW,
        warnings=(),
        verdicts=wrong,
        complete={},
        unknown={},
        cost=Cost(),
        server_at=NOW,
        gaps=tuple(Gap(*place, NOW - timedelta(hours=5)) for place in gaps),
    )
    decisions = {
        one: decide(wrong, (), POLICY, trigger=one, remaining=frozenset(), read_at=NOW, now=NOW)
        for one in (Trigger.SENSOR, Trigger.SCHEDULE)
    }
    facts = Facts(NOW, found.tables, server_at=NOW, evaluated=Evaluated(found, decisions, (), POLICY))
    return judge(facts, Targets(timedelta(hours=48), timedelta(hours=36)), ())


def _text(teams: int, days: int, taken: Mapping[int, Spread], sizes: Mapping[int, int]) -> str:
    usual = SHARES[0]
    return "\n".join(
        [
            f"the health page: {teams:,} teams, {days} days, {len(WEB_TABLES)} tables",
            "",
            table(
                ["units that are wrong", "seconds (min–max)", "bytes"],  # noqa: RUF001 -- a range
                [[f"{share} %", spread.seconds, f"{sizes[share]:,}"] for share, spread in taken.items()],
            ),
            "",
            paragraph(
                """From an answer that is there already, so without what was asked of ClickHouse and Dagster for it. The
                worst teams are named and the others summed, so what grows with the teams is the time to count them."""
            ),
            "  "
            + verdict(
                f"under {TARGET_SECONDS:.0f} s",
                f"the page with {usual} % wrong takes {taken[usual].seconds}",
                is_met=taken[usual].median < TARGET_SECONDS,
            ),
            "  "
            + verdict(
                f"under {TARGET_BYTES:,} bytes",
                f"it has {sizes[usual]:,}",
                is_met=sizes[usual] < TARGET_BYTES,
            ),
        ]
    )
