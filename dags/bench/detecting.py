"""The measured side of `dags.bench.detection`: the only place that calls the detection and its statement."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dags.bench.anti_join import anti_join
from dags.bench.filling import NOW
from dags.bench.measuring import answered, measured
from dags.clickhouse.engine import open_client
from dags.clickhouse.sql import Cost, Sql
from dags.detection.signals import Reading, source_identifiers, target_identifiers
from dags.detection.store import detect
from dags.domain.days import calendar
from dags.repair.decision import Policy, Trigger, decide
from dags.settings import current_settings
from dags.web_preaggregated.tables import EVENTS, WEB_TABLES

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from dags.detection.detection import Detection

SETTLE = timedelta(hours=1)

# As the settings have them.
POLICY = Policy(min_missing_partitions=3, max_days_per_run=7, max_days_per_day=28)


def detection(client: Client, days: int) -> Detection:
    return detect(client, NOW, WEB_TABLES, lookback_days=days, settle=SETTLE)


def signals_cost(client: Client, days: int) -> dict[str, Cost]:
    """What the two statements that compare the projections and the ledger cost, for all tables together."""
    seen = calendar(NOW, lookback_days=days, settle=SETTLE)
    bound = {"start": seen.judged.start, "end": seen.judged.end}
    suspects, failures = (Sql("dags.detection", client) for _ in range(2))
    tables = [table.name for table in WEB_TABLES]
    compared = {
        **bound,
        "closed_before": seen.closed_before(EVENTS.reach_days),
        "tables": tables,
        "reach": EVENTS.reach_days,
    }
    compared |= {"doubted_tables": [], "doubted": [], "doubted_since": []}
    compared["logic_versions"] = [table.logic_version for table in WEB_TABLES]
    present = suspects.union("present", (target_identifiers(table) for table in WEB_TABLES))
    suspects.rows("suspects", compared, present=present, **source_identifiers(EVENTS))
    failures.rows("failures", {**bound, "tables": tables})
    return {"suspects": suspects.cost, "failures": failures.cost}


def suspects_by_ranges(client: Client, days: int, teams: int) -> int:
    """How many units of a window are suspected, when it is compared range by range as a detection does."""
    seen = calendar(NOW, lookback_days=days, settle=SETTLE)
    sql = Sql("dags.detection", client)
    reading = Reading(client, sql, seen, WEB_TABLES, teams=teams)
    return sum(
        len(columns[0])
        for span, _ in reading.ranges(list(seen.judged))
        for _, _, _, _, *columns in reading.suspects(WEB_TABLES, span)
    )


def measure(*, days: int, teams: int) -> dict[str, Any]:
    """A detection with its decision, and the same detection again; in a process of its own, for its memory.

    And what they are measured against: the comparison alone, the anti-join, and one read of the list of parts.
    """
    with open_client(current_settings().clickhouse_dsn, wait_seconds=60, who="bench") as client:
        before = peak_bytes()
        found, first = answered(client, partial(detection, days=days))
        started = time.perf_counter()
        decision = decide(
            found.wrong, (), POLICY, trigger=Trigger.SENSOR, remaining=frozenset(), read_at=found.read_at, now=NOW
        )
        decided = time.perf_counter() - started
        peak = peak_bytes()
        again, second = answered(client, partial(detection, days=days))
        judged = found.calendar.judged
        joins = measured(client, partial(suspects_by_ranges, days=days, teams=teams))
        (missing, _), peer = answered(client, partial(anti_join, start=judged.start, end=judged.end))
        parts = measured(client, _parts)
    if found.unknown or again.unknown or found.verdicts != again.verdicts:
        raise AssertionError(f"the second detection differs from the first, or is unknown: {found.unknown}")
    if missing != len(found.missing):
        raise AssertionError(f"the anti-join finds {missing:,} units missing, the detection {len(found.missing):,}")
    return {
        "wrong": len(found.wrong),
        "complete": dict(found.complete_by_table),
        "days_requested": len(decision.requests),
        "decide": decided,
        "in_queries": found.cost.seconds,
        "queries": found.cost.queries,
        "again_queries": again.cost.queries,
        "peak_bytes": peak,
        "bytes_before": before,
        "runs": {
            name: asdict(run)
            for name, run in (("detect", first), ("again", second), ("joins", joins), ("peer", peer), ("parts", parts))
        },
    }


def _parts(client: Client) -> None:
    """The least that tells that nothing has changed."""
    names = sorted({EVENTS.table, *(table.name for table in WEB_TABLES)})
    Sql("dags.detection", client).rows("parts", {"tables": names})


def peak_bytes() -> int:
    """The most memory that this process has held so far.

    Linux's own figure where there is one: a child's ``ru_maxrss`` begins with what its parent held, exec or not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        [kibibytes] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(kibibytes) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
