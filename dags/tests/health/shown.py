"""A health with something in every section of the page: made up, but judged by the real judgement."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from dags.detection.rules import Cause, Kind, Verdict
from dags.detection.waivers.rules import Waiver
from dags.domain.days import DayRange
from dags.domain.units import Measure, Unit
from dags.health.facts import BuildsOfLately, BuildsOfWeek, Files, LeftBehind, Load, Reached, WorkNow
from dags.health.judging import judge
from dags.tests.health.known import (
    HOUR,
    NOW,
    SCHEDULE,
    SENSOR,
    TABLES,
    TARGETS,
    ago,
    evaluated,
    facts,
    failed,
    missing,
    orphan,
)

if TYPE_CHECKING:
    from dags.health.causes import Health


def unit(day: int, team: int, kind: Kind, cause: Cause, table: str = "stats", **more: Any) -> Verdict:
    return Verdict(Unit(table, team, ago(day)), kind, cause, source=Measure(5, 9), target=Measure(4, 8), **more)


def busy(word: str = "disks were full", team_count: int = 240) -> Health:
    """What a bad Monday leaves; ``word`` stands wherever somebody's words do."""
    wrong = [
        *missing(1, 2, teams=range(101, 131)),
        *missing(5, teams=[7], last_failure="run 9f8e7d6c at 2026-01-19 02:10 failed: Memory limit exceeded"),
        *(unit(day, 12, Kind.STALE, Cause.SOURCE_GREW) for day in range(3, 15)),
        *(unit(day, 13, Kind.PARTIAL, Cause.ROWS_LOST) for day in (3, 4, 9)),
        *(unit(day, 14, Kind.EXCESS, Cause.DIFFERS) for day in (4, 5)),
        *(unit(day, 15, Kind.STALE, Cause.SOURCE_SHRANK, is_held=True) for day in (20, 21)),
        *(unit(day, 12, Kind.WAIVED, Cause.NEVER_BUILT) for day in (25, 26, 27)),
        orphan(6, team=9),
        *missing(*range(1, 6), teams=[4_294_967_296]),
    ]
    waiver = Waiver("waiver-1a2b3c4d", DayRange(ago(27), ago(24)), frozenset({12}), "", word, "ada", date(2026, 3, 1))
    seen = evaluated(
        wrong, seen=60, runs=failed(5, 5, 12, 40), teams=team_count, waivers=(waiver,), errors={},
    )  # fmt: skip
    work = WorkNow(
        "backfill-1a2b3c4d", "managed", "backfill", "stats", "2025-11-01", "2025-12-20", "running", NOW - 3 * HOUR,
        NOW - timedelta(minutes=2), "ada", word, "", "backfill_id", is_at_work=True, rows=1_204_339, steps_done=31,
        reached=Reached(50, 63.4, 4_260.0),
    )  # fmt: skip
    paused = replace(
        work, work_id="postgres-backfill-5e6f7a8b", kind="postgres", word="postgres-backfill", subject="crm orders",
        first_step="", last_step="", status="paused", is_at_work=False, words=word, id_field="postgres_backfill_id",
        last_at=NOW - 9 * HOUR, steps_done=2, reached=Reached(8, 25.0, 900.0), rows=500_000,
    )  # fmt: skip
    weeks = tuple(
        BuildsOfWeek(
            table, 1 - 0.01 * number * (table == "stats"), 1_600 - 31 * number, 16 * number * (table == "stats"),
            number, 5_400.0 + 700 * number, 48_000_000 + 1_000_000 * number,
            week=date(2026, 1, 19) - number * timedelta(7),
        )
        for table in TABLES
        for number in range(6)
    )  # fmt: skip
    known = facts(
        seen,
        database="clickhouse://analytics@db-1:8123/web_analytics",
        work=(work, paused),
        weeks=weeks,
        builds=(
            BuildsOfLately("bounces", 1.0, 1_600, 0, 0),
            BuildsOfLately("stats", 0.93, 1_488, 112, 3, error=word, failed_at=NOW - 5 * HOUR),
        ),
        loads=(
            Load("orders_schedule", "crm orders", "0a1b2c3d", 3, NOW - 20 * HOUR, word, NOW - 2 * HOUR),
            Load("clicks_schedule", "crm clicks", "1b2c3d4e", due_at=NOW - 2 * HOUR, succeeded_at=NOW - HOUR),
        ),
        files=(
            Files("access_logs", 12, NOW - 3 * HOUR, NOW - HOUR),
            Files(
                "exports", 1, NOW - 40 * HOUR, NOW - 50 * HOUR, 2, 1, NOW - 30 * HOUR, "s3://logs/2026/01/17.csv", word
            ),
        ),
        left_behind=(LeftBehind("web_pre_aggregated_staging_20260101", "staging", NOW - 90 * HOUR, "the next build"),),
    )
    return judge(known, TARGETS, (SENSOR, SCHEDULE))
