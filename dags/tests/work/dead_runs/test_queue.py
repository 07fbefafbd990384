"""A code server is killed with its runs, on the real daemon, webserver and queue: nobody waits behind the dead."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from dagster import DagsterInstance

from dags.clickhouse.leases.store import Leases
from dags.dagster_runs.tags import LANE_TAG
from dags.team_selection.store import read_selection
from dags.tests.deployment import ROOT, Deployment, launched, until
from dags.tests.events import Event, insert
from dags.tests.fold import fold, stored
from dags.tests.test_dev import free_port
from dags.tests.world import BOUNCES, STATS, ago, noon

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.slow(minutes=3)

LAUNCH = """mutation Launch($job: String!, $tags: [ExecutionTag!]!) { launchRun(executionParams: {
  selector: { repositoryLocationName: "dags.definitions", repositoryName: "__repository__", jobName: $job }
  executionMetadata: { tags: $tags } }) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
STATUS = "query Status($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
TICKS = """query Ticks { sensorOrError(sensorSelector: { repositoryLocationName: "dags.definitions",
  repositoryName: "__repository__", sensorName: "web_analytics_dead_runs_sensor" }) {
  ... on Sensor { sensorState { ticks(limit: 50) { status skipReason } } } } }"""

# Two for the pool, one that is stopped, and those of the person and the planner who wait behind them.
KILLED, STOPPED, WAITING = [ago(2), ago(3)], ago(4), [ago(5), ago(6)]


class Location(Deployment):
    """A code server, a daemon and a webserver as in the compose file, with the instance's own settings."""

    def __init__(self, home: Path, dsn: str) -> None:
        # The planner launches nothing by itself: what is there is launched below.
        own = {"WEB_ANALYTICS_BACKFILL_MIN_MISSING_PARTITIONS": "10000", "WEB_ANALYTICS_ENABLED_TEAM_IDS": "1"}
        super().__init__(home, dsn, (ROOT / ".dagster" / "dagster.yaml").read_text(), **own)
        self._code_server_port = free_port()
        location = {"host": "127.0.0.1", "port": self._code_server_port, "location_name": "dags.definitions"}
        (home / "workspace.yaml").write_text(json.dumps({"load_from": [{"grpc_server": location}]}))

    def start_code_server(self) -> subprocess.Popen[bytes]:
        return self.start("dagster", "api", "grpc", "-p", str(self._code_server_port), "-m", "dags.definitions")

    def start_the_rest(self) -> None:
        self.start_webserver("-w", "workspace.yaml")
        self.start("dagster._daemon", "run", "-w", "workspace.yaml")

    def launch(self, day: object, **tags: str) -> str:
        given = [{"key": key, "value": value} for key, value in {"dagster/partition": str(day), **tags}.items()]
        return launched(self.ask(LAUNCH, job="web_pre_aggregate_job", tags=given))

    def statuses(self, run_ids: list[str]) -> set[str]:
        return {str(self.ask(STATUS, run=run_id)["runOrError"]["status"]) for run_id in run_ids}

    def ticks(self) -> list[str]:
        state = self.ask(TICKS)["sensorOrError"].get("sensorState", {"ticks": []})  # while the location is loaded
        return [tick["skipReason"] or "" for tick in state["ticks"]]


@pytest.fixture
def deployment(tmp_path: Path, server: tuple[str, Client]) -> Iterator[Location]:
    opened = Location(tmp_path, server[0])
    yield opened
    opened.stop()
    print(opened.last_words())


def test_runs_that_were_killed_with_their_code_server_are_ended_and_those_behind_them_begin(
    deployment: Location, server: tuple[str, Client]
) -> None:
    _, client = server
    events = [Event(1, noon(day), f"s{day}") for day in [*KILLED, STOPPED, *WAITING]]
    insert(client, events)
    # First and alone: it makes the instance's files, which several at once would not survive.
    select = deployment.start(
        "dagster", "job", "execute", "-m", "dags.definitions", "-j", "web_analytics_team_selection_job"
    )
    assert select.wait(120) == 0
    assert read_selection(client).teams == {1}
    code_server = deployment.start_code_server()
    deployment.start_the_rest()
    until(deployment.ticks, 120, "no tick")

    with Leases(client, "the-test", wait_seconds=0, tell=print) as leases:
        # Whoever builds these days waits for this test, at work as far as anybody can see.
        for day in (*KILLED, STOPPED):
            for table in (STATS, BOUNCES):
                leases.take(table, day)
        by_hand = ("dagster", "job", "execute", "-m", "dags.definitions", "-j", "web_pre_aggregate_job")
        stopped_process = deployment.start(*by_hand, "--tags", json.dumps({"dagster/partition": str(STOPPED)}))
        killed = [deployment.launch(KILLED[0], **{LANE_TAG: "0"}), deployment.launch(KILLED[1])]
        until(lambda: deployment.statuses(killed) == {"STARTED"}, 120, "the runs that are to be killed")
        behind = [deployment.launch(WAITING[0]), deployment.launch(WAITING[1], **{LANE_TAG: "0"})]
        with DagsterInstance.from_config(str(deployment.home)) as instance:
            [stopped] = [run.run_id for run in instance.get_runs() if run.run_id not in (*killed, *behind)
                         and run.job_name == "web_pre_aggregate_job"]  # fmt: skip
        until(lambda: deployment.statuses([stopped]) == {"STARTED"}, 60, "the run that is to be stopped")
        time.sleep(10)
        assert deployment.statuses(behind) == {"QUEUED"}

        stopped_at = time.monotonic()
        os.killpg(stopped_process.pid, signal.SIGSTOP)
        processes = [psutil.Process(code_server.pid), *psutil.Process(code_server.pid).children(recursive=True)]
        for process in processes:
            process.kill()
        code_server.wait()
        deployment.start_code_server()
        took = until(lambda: deployment.statuses(killed) == {"FAILURE"}, 120, "the dead runs are not ended")
        print(f"two dead runs were ended {took:.0f} s after they were killed")
        until(
            lambda: (
                client.query(f"SELECT status FROM backfill_log WHERE start_date = '{KILLED[0]}'").result_rows
                == [("failed",)] * 2
            ),
            30,
            "the audit has it still running",
        )
        took = until(lambda: deployment.statuses(behind) == {"SUCCESS"}, 120, "the runs behind them do not begin")
        print(f"{took:.0f} s later those that had waited behind them were over")

        until(lambda: time.monotonic() - stopped_at > 100, 120, "time does not pass")
        assert sum("no run's process is dead" in text for text in deployment.ticks()) >= 2
        assert deployment.statuses([stopped]) == {"STARTED"}
        os.killpg(stopped_process.pid, signal.SIGCONT)
    until(lambda: deployment.statuses([stopped]) == {"SUCCESS"}, 120, "the run that was stopped does not go on")
    for day in (STOPPED, *WAITING):
        assert stored(client, STATS, day) == fold(events, day, STATS) != {}
    assert all(stored(client, STATS, day) == {} for day in KILLED)
