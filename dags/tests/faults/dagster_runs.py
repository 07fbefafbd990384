"""The same with whole Dagster runs: a run that the real sensor asked for is killed, and the sensor has it done later.

A killed run stays STARTED; its day is not asked for a second time meanwhile. Once the sensor of dead runs has ended it,
and its back-off is over, the next tick asks again, under a new key, and the day becomes whole.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

from dagster import AssetKey, DagsterInstance, DagsterRunStatus, RunsFilter

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.definitions import defs
from dags.demo.loop import tick
from dags.domain import clock
from dags.publish.moments import Moment
from dags.publish.staging import sweep
from dags.settings import current_settings
from dags.tests.builds import TABLES
from dags.tests.faults.trial import BrokenPromiseError
from dags.tests.faults.worker import DEAD_AFTER_SECONDS, hurried
from dags.tests.fold import fold, stored
from dags.tests.world import World, ago

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagster import RunRequest

    from dags.demo.loop import Tick
    from dags.tests.faults.server import Server

TEAMS = (1, 2, 3)
DAYS = (ago(3), ago(4))


def run_trials(server: Server, count: int) -> Iterator[str]:
    """So many killed runs, at every step in turn; says of each what became of it.

    Raises:
        BrokenPromiseError: what must hold does not.
    """
    with tempfile.TemporaryDirectory(prefix="faults-home-") as home, mock.patch.dict(os.environ, _environment(server)):
        current_settings.cache_clear()
        instance = DagsterInstance.local_temp(home)
        for number in range(count):
            step = list(Moment)[number % len(Moment)]
            with open_client(Dsn.parse(server.dsn()), wait_seconds=30) as client:
                yield f"{step}: {_trial(World(client, instance, mock.Mock()), home, step)}"
    current_settings.cache_clear()


def _environment(server: Server) -> dict[str, str]:
    return {"CLICKHOUSE_DSN": server.dsn(), "WEB_ANALYTICS_BACKFILL_SETTLE_HOURS": "0"}


def _trial(world: World, home: str, step: Moment) -> str:
    client, instance = world.client, world.instance
    for run in instance.get_runs():
        instance.delete_run(run.run_id)
    instance.wipe_assets([AssetKey("web_analytics_backfill_detector")])
    lists = ("web_pre_aggregated_teams", "web_analytics_enabled_teams")
    for table in ("events", "web_pre_aggregated_builds", "web_pre_aggregated_day_states", *lists, *TABLES):
        client.command(f"TRUNCATE TABLE {table} SYNC")
    tables = client.query("SHOW TABLES").result_rows
    events = world.traffic(TEAMS, DAYS)
    world.select(*TEAMS)
    first, *others = world.tick().requests
    killed = date.fromisoformat(str(first.partition_key))
    _killed_run(home, first, step)
    [run] = instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTED]))
    _must(first.partition_key not in _asked(world.tick()), f"{killed} is asked for while its run counts as running")
    world.loop.carry_out(others, lambda _: None)
    dead = tick(defs.resolve_sensor_def("web_analytics_dead_runs_sensor"), instance).skip_message
    _must(run.run_id in dead, f"the dead run is not ended: {dead}")
    _must(first.partition_key not in _asked(world.tick()), f"{killed} is asked for before its back-off is over")
    seven_hours_later = clock.utc_now() + timedelta(hours=7)
    with mock.patch.object(clock, "utc_now", return_value=seven_hours_later):
        again = world.tick()
    wrong = [table for table in TABLES if stored(client, table, killed) != fold(events, killed, table)]
    _must(_asked(again) == ({first.partition_key} if wrong else set()), f"the next tick asks for {_asked(again)}")
    _must(all(request.run_key != first.run_key for request in again.requests), "a run key is used twice")
    world.carry_out(again)
    for day in DAYS:
        for table in TABLES:
            _must(stored(client, table, day) == fold(events, day, table), f"{table} of {day} is not whole")
    time.sleep(DEAD_AFTER_SECONDS)
    sweep(client, lambda _: None)
    _must(client.query("SHOW TABLES").result_rows == tables, "something is left behind")
    return (
        f"{len(wrong)} of 2 tables were left wrong, the next tick repaired them" if wrong else "nothing was left wrong"
    )


def _asked(tick: Tick) -> set[Any]:
    return {request.partition_key for request in tick.requests}


def _killed_run(home: str, request: RunRequest, step: Moment) -> None:
    facts = {
        "partition_key": request.partition_key,
        "assets": [key.to_user_string() for key in request.asset_selection or []],
        "run_config": dict(request.run_config),
        "tags": dict(request.tags),
        "step": str(step),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "dags.tests.faults.dagster_runs", home, json.dumps(facts)],
        check=False,
        capture_output=True,
        timeout=120,
    )
    _must(ended.returncode == -signal.SIGKILL, f"the run was not killed: {ended.stderr.decode()[-2000:]}")


def _must(holds: bool, words: str) -> None:  # noqa: FBT001 -- an assertion
    if not holds:
        raise BrokenPromiseError(words)


def _run_and_be_killed(home: str, facts: dict[str, Any]) -> None:
    """The child: make the run that was asked for, and die at the step."""
    from dags.publish.build import DayBuild  # noqa: PLC0415
    from dags.web_preaggregated_backfill import building  # noqa: PLC0415

    def die(step: Moment) -> None:
        if step == facts["step"]:
            os.kill(os.getpid(), signal.SIGKILL)

    vars(building)["DayBuild"] = partial(DayBuild, at=die)
    with hurried():
        defs.resolve_job_def("web_pre_aggregate_job").execute_in_process(
            instance=DagsterInstance.local_temp(home),
            partition_key=facts["partition_key"],
            asset_selection=[AssetKey(name) for name in facts["assets"]],
            run_config=facts["run_config"],
            tags=facts["tags"],
        )


if __name__ == "__main__":
    _run_and_be_killed(sys.argv[1], json.loads(sys.argv[2]))
