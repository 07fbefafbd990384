"""`make dev` and `dagster dev`, as a person types them: the webserver answers, the location is loaded, sensor and
schedules run.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).resolve().parents[2]

QUERY = """{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
  __typename ... on RepositoryLocation { repositories { sensors { name sensorState { status } }
  schedules { name scheduleState { status } } } } } } } } }"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# One after the other: they share the instance of the checkout, and its daemon is one at a time.
@pytest.mark.slow
@pytest.mark.xdist_group("dev")
@pytest.mark.parametrize("command", ["make dev PORT={port}", "dagster dev --port {port}"])
def test_dev_serves_the_location_with_sensor_and_schedules_running(tmp_path: Path, command: str) -> None:
    port = free_port()
    environment = {
        **os.environ,
        "CLICKHOUSE_DSN": f"chdb://{tmp_path}/engine",
        # What .venv/bin/activate exports.
        "DAGSTER_HOME": str(ROOT / ".dagster"),
    }
    log = (tmp_path / "log").open("w")
    dev = subprocess.Popen(
        command.format(port=port).split(), cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
    )
    try:
        answer = asked(port, time.monotonic() + 90)
    finally:
        # Not SIGINT: whatever was started in the background of a shell ignores it.
        os.killpg(dev.pid, signal.SIGTERM)
        try:
            dev.wait(timeout=90)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(dev.pid, signal.SIGKILL)
            log.close()
    [entry] = answer["data"]["workspaceOrError"]["locationEntries"]
    [repository] = entry["locationOrLoadError"]["repositories"]
    states = {s["name"]: s["sensorState"]["status"] for s in repository["sensors"]}
    states |= {s["name"]: s["scheduleState"]["status"] for s in repository["schedules"]}
    assert states == dict.fromkeys(
        (
            "web_analytics_backfill_sensor",
            "web_analytics_backfill_schedule",
            "web_analytics_dead_runs_sensor",
            "web_analytics_sweep_backups_schedule",
            "web_analytics_team_selection_schedule",
            "web_pre_aggregate_daily_schedule",
        ),
        "RUNNING",
    ), (tmp_path / "log").read_text()


def asked(port: int, until: float) -> Any:
    request = Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": QUERY}).encode(),
        headers={"Content-Type": "application/json"},
    )
    while True:
        try:
            with urlopen(request, timeout=10) as response:  # noqa: S310 -- our own http address
                answer = json.load(response)
            if answer["data"]["workspaceOrError"].get("locationEntries"):
                return answer
        except (URLError, OSError):
            if time.monotonic() > until:
                raise
        time.sleep(1)
