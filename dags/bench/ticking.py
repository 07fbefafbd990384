"""The measured side of `dags.bench.tick`: the real sensor on a real instance. Runs in a child."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from resource import RUSAGE_CHILDREN, getrusage
from typing import TYPE_CHECKING, Any

from dagster import DagsterInstance

from dags.bench.anti_join import anti_join
from dags.bench.ask_nothing import ask_nothing
from dags.bench.child import run
from dags.dagster_runs.resource import ClickHouseResource
from dags.demo.loop import Loop
from dags.detection.store import detect
from dags.domain.clock import utc_now
from dags.settings import current_settings
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from dags.clickhouse.sql import Cost

# Between two ticks a code server has at least as long; what it prepares for the next is done by then.
IDLE_SECONDS = 3.0


def measure(*, rounds: int) -> dict[str, Any]:
    """Seconds of each round of the tick, of its detection alone, of the peer and of the floor, taken in turns.

    The floor is the engine opened as a tick opens it, embedded by a process that begins for it, and asked for nothing.
    Its CPU and the tick's are told too. A tick begins when the one before has been over for a while, as any does.
    """
    settings, resource = current_settings(), ClickHouseResource()
    fresh = partial(run, [sys.executable, "-m", "dags.bench.ask_nothing"], os.environ)
    floor = fresh if settings.clickhouse_dsn.is_embedded else partial(resource.in_tick, ask_nothing)
    seconds: dict[str, list[float]] = {"tick": [], "detection": [], "peer": [], "floor": []}
    cpu: dict[str, list[float]] = {"tick": [], "floor": []}
    costs: dict[str, Cost] = {}
    with DagsterInstance.get() as instance:
        loop = Loop(instance)
        first = loop.tick()  # what it verifies it records, so that the next one has nothing to do
        for _ in range(rounds):
            time.sleep(IDLE_SECONDS)
            began = _cpu()
            ticked = _timed(loop.tick, seconds["tick"])
            cpu["tick"].append(_cpu() - began)
            began = _cpu()
            _timed(floor, seconds["floor"])
            cpu["floor"].append(_cpu() - began)
            if ticked.requests or first.requests:
                raise AssertionError(f"the tick asks for runs: {ticked.requests or first.requests}")
            now = utc_now()
            work = partial(
                detect,
                now=now,
                watched=WEB_TABLES,
                lookback_days=settings.backfill_lookback_days,
                settle=settings.settle,
            )
            found = _timed(partial(resource.in_tick, work), seconds["detection"])
            span = found.calendar.judged
            missing, cost = _timed(
                partial(resource.in_tick, partial(anti_join, start=span.start, end=span.end)), seconds["peer"]
            )
            if missing or found.wrong or found.unknown:
                raise AssertionError(f"not complete: {missing} missing, {found.wrong}, {found.unknown}")
            costs = {"detection": found.cost, "peer": cost}
    return {
        "complete": dict(found.complete_by_table),
        **{name: {"seconds": seconds[name], "cpu": cpu[name]} for name in cpu},
        **{
            name: {"seconds": seconds[name], "rows_read": cost.rows_read, "engine_seconds": cost.seconds}
            for name, cost in costs.items()
        },
    }


def _cpu() -> float:
    """CPU seconds of this process and of the children that have ended."""
    children = getrusage(RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _timed(call: Callable[[], Any], into: list[float]) -> Any:  # noqa: ANN401 -- whatever is called answers
    started = time.perf_counter()
    answer = call()
    into.append(time.perf_counter() - started)
    return answer
