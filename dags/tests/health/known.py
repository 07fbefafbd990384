"""Facts for tests of what is judged from them: made up, but decided by the real decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dags.clickhouse.sql import Cost
from dags.detection.detection import Detection, Standing
from dags.detection.gaps.rules import Gap
from dags.detection.rules import Cause, Kind, Verdict
from dags.detection.verdicts import Verdicts
from dags.domain.clock import MAX_SKEW
from dags.domain.days import calendar
from dags.domain.units import Measure, Unit
from dags.health.facts import Evaluated, Facts, Teams, Ticking
from dags.health.targets import Targets
from dags.repair.attempts import Run, RunState
from dags.repair.decision import Policy, Trigger, decide
from dags.repair.estimate import Building

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOW = datetime(2026, 1, 20, 6, tzinfo=UTC)
TABLES = ("bounces", "stats")
HOUR = timedelta(hours=1)
TARGETS = Targets(repair=48 * HOUR, freshness=36 * HOUR)
POLICY = Policy(min_missing_partitions=3, max_days_per_run=7, max_days_per_day=28)
SENSOR, SCHEDULE = "the_sensor", "the_schedule"


def ago(days: int) -> date:
    return NOW.date() - timedelta(days=days)


def missing(*days: int, teams: Iterable[int] = (1,), tables: Iterable[str] = TABLES, **more: Any) -> list[Verdict]:
    """Units that are missing, so many days ago."""
    shared = {"source": Measure(5, 9), **more}
    return [
        Verdict(Unit(table, team, ago(day)), Kind.MISSING, Cause.NEVER_BUILT, **shared)
        for table in tables
        for day in days
        for team in teams
    ]


def orphan(day: int, team: int = 1) -> Verdict:
    return Verdict(Unit("stats", team, ago(day)), Kind.ORPHAN, Cause.NO_SOURCE, target=Measure(4, 4))


def failed(day: int, *hours_ago: float, teams: Iterable[int] | None = None) -> list[Run]:
    """Automatic runs of a day that failed, so many hours ago."""
    named = {} if teams is None else dict.fromkeys(TABLES, frozenset(teams))
    return [
        Run(
            f"run-{hours}",
            ago(day),
            frozenset(TABLES),
            RunState.FAILED,
            NOW - hours * HOUR,
            NOW - hours * HOUR,
            True,
            named,
        )
        for hours in hours_ago
    ]


def in_flight(day: int) -> Run:
    return Run("at-it", ago(day), frozenset(TABLES), RunState.IN_FLIGHT, NOW - HOUR, None, is_automatic=True)


def evaluated(
    wrong: Sequence[Verdict] = (),
    *,
    seen: float = 1,
    runs: Sequence[Run] = (),
    policy: Policy = POLICY,
    stopped: str = "",
    **found: Any,
) -> Evaluated:
    """What an evaluation found; all gaps were ``seen`` first so many hours ago."""
    verdicts = Verdicts.of(wrong)
    gaps = {(one.table, one.day, one.awaits_permission) for one in verdicts.groups}
    detection = Detection(
        read_at=NOW,
        calendar=calendar(NOW, lookback_days=30, settle=HOUR),
        lookback_days=30,
        tables=TABLES,
        teams=9,
        selected_at=NOW - 6 * HOUR,
        warnings=(),
        verdicts=verdicts,
        complete={},
        unknown={},
        cost=Cost(),
        server_at=NOW,
        standing=Standing(stopped),
        gaps=tuple(Gap(*place, NOW - seen * HOUR) for place in sorted(gaps)),
        source_rows={(table, ago(day)): 1_000 for table in TABLES for day in range(1, 31)},
        seconds_per_row=dict.fromkeys(TABLES, 0.001),
    )
    detection = replace(detection, **found)
    jobs, ops = dict.fromkeys(TABLES, "the_job"), dict.fromkeys(TABLES, "the_op")
    building = Building(jobs, detection.source_rows, detection.seconds_per_row, ops)
    decisions = {
        one: decide(
            verdicts,
            runs,
            policy,
            trigger=one,
            remaining=frozenset(),
            read_at=NOW,
            now=NOW,
            building=building,
            standing=detection.standing,
        )
        for one in (Trigger.SENSOR, Trigger.SCHEDULE)
    }
    return Evaluated(detection, decisions, tuple(runs), policy, building)


def ticking(name: str, **more: Any) -> Ticking:
    """A trigger that is on and ticked an hour ago."""
    return Ticking(name, **{"is_sensor": True, "is_on": True, "is_known": True, "ticked_at": NOW - HOUR, **more})


def facts(seen: Evaluated | None = None, **more: Any) -> Facts:
    """All is well, but for what is given."""
    known = {
        "server_at": NOW,
        "teams": Teams(9, NOW - 6 * HOUR),
        "evaluated": seen if seen is not None else evaluated(),
        "ticking": (ticking(SENSOR), ticking(SCHEDULE, is_sensor=False)),
        "daemon_at": NOW - timedelta(seconds=30),
        "believed_until": NOW + MAX_SKEW,
    }
    return Facts(NOW, TABLES, **{**known, **more})
