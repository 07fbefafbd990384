"""A managed backfill against bare rebuilds of the same days: what plan, gates, backup and audit cost, chunk by chunk.

On a server. One day a chunk, in the same round built once bare and once managed; the first chunk of each run is left
out, for it carries the run's start.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import nullcontext
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from dags.bench.figures import Spread, paragraph, table, verdict
from dags.bench.filling import NOW, TODAY, World, fill_events
from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.domain.given import read
from dags.managed_backfill.execution import Backfill
from dags.managed_backfill.fields import BackfillConfig
from dags.managed_backfill.kind import BACKFILL
from dags.managed_backfill.log import work_of
from dags.managed_backfill.planning import make_plan, read_facts
from dags.managed_backfill.request import validated
from dags.publish.batches import build_limits
from dags.publish.build import DayBuild
from dags.settings import read_settings
from dags.tests.clickhouse_server import running_server
from dags.web_preaggregated.tables import STATS, WEB_TABLES
from dags.work.audit.log import Entry, Event, Status
from dags.work.audit.store import Log
from dags.work.document import as_yaml
from dags.work.runner import Listeners, Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from clickhouse_connect.driver.client import Client

WORLD = World(teams=1_000, days=6, events_per_unit=1_000, one_in=1)
QUICK_WORLD = World(teams=20, days=5, events_per_unit=100, one_in=1)
ROUNDS, QUICK_ROUNDS = 3, 1

TARGET_MORE = 1.10


def managed(*, quick: bool, progress: Callable[[str], None]) -> Iterator[str]:
    """Yield the text of the figures."""
    world, rounds = (QUICK_WORLD, QUICK_ROUNDS) if quick else (WORLD, ROUNDS)
    # Of the days with both neighbours; the first is left out of the figures.
    days = [TODAY - timedelta(days=n) for n in range(world.days - 1, 1, -1)]
    with tempfile.TemporaryDirectory() as name, running_server(Path(name) / "server") as server:
        dsn = Dsn.parse(server.dsn("managed"))
        with open_client(dsn, wait_seconds=60, create_database=True) as client:
            fill_events(client, world, progress)
            for day in days:
                _bare(client, day, world.teams)
            bare: list[float] = []
            chunks: list[float] = []
            for number in range(1, rounds + 1):
                bare += [_bare(client, day, world.teams) for day in days][1:]
                chunks += _managed(client, days)[1:]
                progress(f"round {number}: bare {bare[-1]:.2f} s, managed {chunks[-1]:.2f} s")
    yield _text(world, Spread(tuple(bare)), Spread(tuple(chunks)))


def _bare(client: Client, day: date, teams: int) -> float:
    started = time.monotonic()
    built = DayBuild(
        client=client,
        day=day,
        teams_by_table={STATS.name: range(1, teams + 1)},
        tables=WEB_TABLES,
        run_id=uuid4().hex,
        limits=build_limits(read_settings({})),
        progress=lambda _message: None,
    ).run()
    if built.problems:
        raise RuntimeError(f"the build failed: {built.problems}")
    return time.monotonic() - started


def _managed(client: Client, days: list[date]) -> list[float]:
    """Seconds from the end of a chunk to the end of the next, the first from the start of the run."""
    settings, backfill_id = read_settings({}), f"backfill-{uuid4().hex[:8]}"
    asked = {
        "start_date": str(days[0]),
        "end_date": str(days[-1]),
        "target_table": STATS.name,
        "chunk_size_days": 1,
        "reason": "a benchmark",
        "requested_by": "bench",
    }
    facts = read_facts(client, WEB_TABLES, settings, NOW, backfill_id, in_flight={})
    plan = make_plan(client, WEB_TABLES, validated(read(BackfillConfig, asked), facts), settings, NOW)
    entry = Entry(Event.ACCEPTED, Status.ACCEPTED, payload=as_yaml(plan))
    Log(client, work_of(backfill_id, plan), "bench").append(entry)
    ends = [time.monotonic()]
    state = Runner(
        client=client,
        open_client=lambda: nullcontext(client),
        kind=BACKFILL,
        work=work_of(backfill_id, plan),
        chunks=plan.chunks,
        worker=Backfill(
            STATS,
            plan,
            build_limits(settings),
            0,
            day_begun=lambda _: None,
            day_done=lambda _: None,
            day_restored=lambda *_: None,
        ),
        run_id=uuid4().hex,
        ordered_at=read_clocks(client).server,
        listeners=Listeners(
            tell=lambda _: None,
            chunk_done=lambda *_: ends.append(time.monotonic()),
            notify=lambda _: None,
        ),
    ).run()
    if state.status != Status.COMPLETED:
        raise RuntimeError(f"the backfill is {state.status}: {state.entries[-1].payload}")
    return [after - before for before, after in pairwise(ends)]


def _text(world: World, bare: Spread, chunks: Spread) -> str:
    more = chunks.over(bare)
    return "\n".join(
        [
            f"managed: a chunk against the bare rebuild of its day, {world.teams * world.events_per_unit:,} events",
            "",
            table(
                ["way", "seconds (min–max)"],  # noqa: RUF001 -- a range
                [["bare rebuild", bare.seconds], ["managed chunk", chunks.seconds]],
            ),
            "",
            paragraph(
                """One table, one day a chunk, all teams. A chunk adds the gates on its staging, the backup, the events
                of the audit, and what decides whether to go on."""
            ),
            "  "
            + verdict(
                f"at most {TARGET_MORE:.2f} ×",
                f"a managed chunk takes {more.times} the time",
                is_met=more.median <= TARGET_MORE,
            ),
        ]
    )
