"""Operation under load: a quiet phase, then days are lost and the sensor is due, its runs are made, then programs that
only count are at work; and again.

Daemon and code server are processes as they ship, readers are processes too, and look all the time. What is not so is
the time between two ticks of the sensor, which is six hours in a deployment: its last tick is forgotten here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from dagster import DagsterRunStatus, RunsFilter

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.dagster_runs.tags import BACKFILL_RUN_TAG
from dags.detection.store import detect
from dags.domain.clock import utc_now
from dags.repair.runs import IN_FLIGHT
from dags.tests.deployment import ROOT, until
from dags.tests.load.processes import Watch
from dags.tests.load.report import AT_WORK, FLOOR, QUIET, Look, Phase, Seen
from dags.tests.load.world import Size, World, lose
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date
    from pathlib import Path

    from dagster import DagsterRun

SENSOR = "web_analytics_backfill_sensor"

# As many as there are cores on a small machine.
READERS = 2

# See `dags.tests.load.report.FLOOR`.
COUNTING = """import os
os.nice(19)
began_by = os.getppid()
while os.getppid() == began_by:
    for _ in range(1_000_000):
        pass
"""

# No run is over sooner: its process imports Dagster first.
RUN_SECONDS = 4.0

# The first tick reads everything, and the location is loaded before it; the runs of one are made one after the other.
STARTS_WITHIN, TICKS_WITHIN, BUILT_WITHIN = 120.0, 180.0, 600.0

# Of a run's state: often enough to know to a second when backfills are at work, and a query of the instance each.
POLL_SECONDS = 0.5


@dataclass
class Driver:
    """Plays the phases on a world, and writes down what is seen."""

    world: World
    size: Size
    quiet_seconds: float
    lost_days: int
    say: Callable[[str], None]

    def play(self, directory: Path, seconds: float) -> Seen:
        """Phases in turns for so long; at least two in which backfills are at work."""
        seen = Seen(self.size.teams, self.size.days, self.size.events)
        began_at = utc_now().timestamp()
        code_server = self.world.production.begin("code-location")
        until(
            lambda: self.world.production.is_healthy("code-location"), STARTS_WITHIN, "the code server is not healthy"
        )
        daemon = self.world.production.begin("daemon")
        until(lambda: self._ticks().get(SENSOR), TICKS_WITHIN, "the sensor does not tick")
        self.say("the sensor has ticked once")
        with _readers(directory, self.world.server.dsn(), self.size.teams) as files:
            time.sleep(min(10.0, self.quiet_seconds))  # connections are opened, marks are read
            watch = Watch({"daemon": daemon.pid, "code server": code_server.pid})
            try:
                self._turns(seen, time.monotonic() + seconds, int(seconds // self._round_seconds) + 2)
            finally:
                watch.end()
        seen.samples = watch.samples
        for file in files:
            seen.looks += [Look(*map(float, line.split())) for line in file.read_text().splitlines() if line]
        seen.ticks = self._ticks(began_at)
        seen.runs = dict(Counter(str(run.status.value) for run in self._runs()))
        seen.left = self._left()
        return seen

    @property
    def _round_seconds(self) -> float:
        return 2 * self.quiet_seconds + self.lost_days * RUN_SECONDS

    def _turns(self, seen: Seen, end: float, rounds: int) -> None:
        """``rounds``: at most so many. What is lost again within six hours waits, so each unit is lost once.

        Where there are more rounds than days, a round takes the rows of some of the teams only.
        """
        days = sorted(self.world.span, reverse=True)
        blocks = [days[n : n + self.lost_days] for n in range(0, len(days), self.lost_days)]
        blocks = [block for block in blocks if len(block) == self.lost_days]
        shares = -(-rounds // len(blocks))
        seen.phases.append(self._quiet())
        for number in range(rounds):
            if number > 1 and time.monotonic() > end:
                return
            share, block = divmod(number, len(blocks))
            for day in blocks[block]:
                lose(self.world, day, share, shares)
            at_work = self._at_work(blocks[block])
            seen.phases += [at_work, self._floor(), self._quiet()]
            self.say(f"round {number + 1}: {at_work.ended - at_work.began:.0f} s of backfills")

    def _quiet(self) -> Phase:
        began = time.monotonic()
        time.sleep(self.quiet_seconds)
        return Phase(QUIET, began, time.monotonic())

    def _floor(self) -> Phase:
        counting = [subprocess.Popen([sys.executable, "-c", COUNTING]) for _ in range(os.cpu_count() or 1)]
        try:
            time.sleep(1.0)  # until all of them count
            return replace(self._quiet(), kind=FLOOR)
        finally:
            for one in counting:
                one.kill()
                one.wait(10)

    def _at_work(self, days: list[date]) -> Phase:
        """From the first run that is started until all are over."""
        before = {run.run_id for run in self._runs()}
        self._make_due()

        def new(*statuses: DagsterRunStatus) -> bool:
            found = self.world.instance.get_runs(RunsFilter(tags={BACKFILL_RUN_TAG: "true"}, statuses=list(statuses)))
            return any(run.run_id not in before for run in found)

        until(lambda: new(DagsterRunStatus.STARTED), TICKS_WITHIN, f"no run of {days} starts", pause=POLL_SECONDS)
        began = time.monotonic()
        until(lambda: not new(*IN_FLIGHT), BUILT_WITHIN, f"runs of {days} are not over", pause=POLL_SECONDS)
        return Phase(AT_WORK, began, time.monotonic())

    def _make_due(self) -> None:
        """Six hours pass, for the sensor: its last tick is forgotten. It is due when the daemon looks next."""
        [state] = [one for one in self.world.instance.all_instigator_state() if one.instigator_name == SENSOR]
        data = state.sensor_instigator_data
        assert data is not None
        forgotten = data._replace(last_tick_timestamp=None, last_tick_start_timestamp=None)
        self.world.instance.update_instigator_state(state.with_data(forgotten))

    def _runs(self) -> list[DagsterRun]:
        return list(self.world.instance.get_runs(RunsFilter(tags={BACKFILL_RUN_TAG: "true"})))

    def _ticks(self, since: float = 0.0) -> dict[str, list[float]]:
        """Seconds of every evaluation that is over, by sensor or schedule, in their order."""
        found: dict[str, list[float]] = defaultdict(list)
        for state in self.world.instance.all_instigator_state():
            ticks = self.world.instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since)
            for tick in sorted(ticks, key=lambda one: one.timestamp):
                if tick.end_timestamp is not None:
                    found[state.instigator_name].append(tick.end_timestamp - tick.timestamp)
        return dict(found)

    def _left(self) -> list[str]:
        """What is wrong in the end, by a detection of everything."""
        with open_client(Dsn.parse(self.world.server.dsn()), wait_seconds=60, who="load") as client:
            found = detect(
                client, utc_now(), WEB_TABLES, lookback_days=self.size.days, settle=timedelta(0), reads_all_days=True
            )
        left = [f"{len(found.wrong):,} units are wrong"] if found.wrong else []
        return [*left, *(f"unknown: {found.unknown}" for _ in (1,) if found.unknown)]


@contextmanager
def _readers(directory: Path, dsn: str, teams: int) -> Iterator[list[Path]]:
    """So many readers, and the files that they write; one that ends by itself is a failure.

    Raises:
        RuntimeError: a reader was refused an answer; its last words are in the message.
    """
    files = [directory / f"reader-{number}" for number in range(READERS)]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "dags.tests.load.readers", dsn, str(file), str(teams), str(number)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, file in enumerate(files)
    ]
    try:
        yield files
        for one in started:
            if one.poll() is not None:
                raise RuntimeError(f"a reader ended: {one.communicate()[1][-2000:]}")
    finally:
        for one in started:
            one.kill()
            one.wait(10)
