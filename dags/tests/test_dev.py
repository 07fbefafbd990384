"""`make dev`, as a script starts and ends it: the webserver answers, the location is loaded, sensor and schedules run.

In a terminal `test_readme.py` has it, and Dagster's own commands.
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
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]

QUERY = """{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
  __typename ... on RepositoryLocation { repositories { sensors { name sensorState { status } }
  schedules { name scheduleState { status } } } } } } } } }"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
def test_dev_serves_the_location_and_ends_whole_when_make_is_ended_in_the_background(tmp_path: Path) -> None:
    port, dsn = free_port(), f"chdb://{tmp_path}/engine"
    # As a shell has it that starts something in the background; Dagster would ignore SIGTERM as well.
    with interrupted_by(signal.SIG_IGN), (tmp_path / "log").open("w") as log:
        dev = subprocess.Popen(
            ["make", "dev", f"PORT={port}"],
            cwd=ROOT,
            env={**os.environ, "CLICKHOUSE_DSN": dsn},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        served(port, time.monotonic() + 90)
        dev.terminate()
        dev.wait(60)
        assert not left("CLICKHOUSE_DSN", dsn)
    finally:
        print((tmp_path / "log").read_text())
        end("CLICKHOUSE_DSN", dsn)
        dev.wait(10)


def served(port: int, until: float) -> None:
    """Wait until a webserver serves the location, with its sensors and schedules running."""
    [entry] = _asked(port, until)["data"]["workspaceOrError"]["locationEntries"]
    [repository] = entry["locationOrLoadError"]["repositories"]
    states = {s["name"]: s["sensorState"]["status"] for s in repository["sensors"]}
    states |= {s["name"]: s["scheduleState"]["status"] for s in repository["schedules"]}
    assert states == dict.fromkeys(
        (
            "web_analytics_backfill_sensor",
            "web_analytics_backfill_schedule",
            "web_analytics_dead_runs_sensor",
            "web_analytics_files_sensor",
            "web_analytics_retention_schedule",
            "web_analytics_sweep_backups_schedule",
            "web_analytics_team_selection_schedule",
            "web_pre_aggregate_daily_schedule",
        ),
        "RUNNING",
    )


@contextlib.contextmanager
def interrupted_by(disposition: Any) -> Iterator[None]:
    """What SIGINT does to a process that is started meanwhile, whatever it does to this one."""
    before = signal.signal(signal.SIGINT, disposition)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def left(variable: str, value: str, seconds: float = 15) -> list[list[str]]:
    """What still runs of those with that value in their environment when these seconds are over."""
    _, alive = psutil.wait_procs(_processes(variable, value), timeout=seconds)
    return [process.cmdline() for process in alive]


def end(variable: str, value: str) -> None:
    """Kill what runs with that value in its environment: what a test started, and whatever that did."""
    for process in _processes(variable, value):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _processes(variable: str, value: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # another user's, or gone
            if process.environ().get(variable) == value:
                found.append(process)
    return found


def _asked(port: int, until: float) -> Any:
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
