"""Dagster's processes as people run them, each of its own and with an instance of their own, asked over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from dags.tests.test_dev import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[2]


class Deployment:
    """Processes that share an instance in ``home``. ``settings`` are those of this location, by their variables."""

    # What stands before each command.
    before: tuple[str, ...] = ()

    def __init__(self, home: Path, dsn: str, instance: str, **settings: str) -> None:
        self.home, self.port = home, free_port()
        (home / "dagster.yaml").write_text(instance)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "WEB_"))}
        own = {"DAGSTER_HOME": str(home), "CLICKHOUSE_DSN": dsn, "PYTHONPATH": str(ROOT)}
        self._environment = {**kept, **settings, **own}
        self._stack = contextlib.ExitStack()
        self._log = self._stack.enter_context((home / "log").open("w"))

    @property
    def environment(self) -> Mapping[str, str]:
        """What its processes are started with."""
        return self._environment

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """A Python module as a process, in a group of its own."""
        process = subprocess.Popen(
            [*self.before, sys.executable, "-m", *command],
            env=self._environment,
            cwd=self.home,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self._stack.callback(_ended, process)
        return process

    def start_webserver(self, *workspace: str) -> subprocess.Popen[bytes]:
        """The webserver, which answers what is asked from now on."""
        return self.start("dagster_webserver", *workspace, "-p", str(self.port))

    def stop(self) -> None:
        """End whatever was started."""
        self._stack.close()

    def last_words(self) -> str:
        """What was written last, by whichever process."""
        return (self.home / "log").read_text()[-8000:]

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(
            f"http://127.0.0.1:{self.port}/graphql", data=body, headers={"Content-Type": "application/json"}
        )
        with urlopen(request, timeout=60) as response:  # noqa: S310 -- our own http address
            answer = json.load(response)
        assert "errors" not in answer, answer
        return answer["data"]


def launched(answer: Any) -> str:
    """The id of the run that was launched."""
    assert answer["launchRun"]["__typename"] == "LaunchRunSuccess", answer
    return str(answer["launchRun"]["run"]["runId"])


def until(holds: Callable[[], object], seconds: float, what: str, *, pause: float = 1.0) -> float:
    """Wait until it holds, also for a webserver that does not answer yet; how long that took."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(URLError, OSError):
            if holds():
                return time.monotonic() - began
        assert time.monotonic() - began < seconds, what
        time.sleep(pause)


def _ended(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
