"""The child that stands ready: whose it is, when it works, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from dags.clickhouse import child
from dags.clickhouse.child import call
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.tests.deployment import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

# A child starts, opens the engine and answers in about a second; the rest is for machines that are busy.
LONG = 120

pytestmark = pytest.mark.long

A_CODE_SERVER = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which is ignored by whom a shell started in the background
from dags.clickhouse.child import call
from dags.clickhouse.dsn import Dsn
from dags.tests.clickhouse.test_child import who_works

dsn = Dsn.parse(sys.argv[1])
for _ in range(2):
    call(dsn, who_works, wait_seconds=10, limit_seconds=120)
print("asked twice", flush=True)
time.sleep(120)
"""


@pytest.fixture
def dsn(tmp_path: Path) -> Iterator[Dsn]:
    dsn = Dsn.parse(f"chdb://{tmp_path}/data")
    make = f"from dags.tests.clickhouse.test_child import *; make_database(Dsn.parse({str(dsn).split(' ')[0]!r}))"
    subprocess.run([sys.executable, "-c", make], check=True)
    yield dsn
    for waiting in ready():
        waiting.kill()
        waiting.wait(LONG)


def make_database(dsn: Dsn) -> None:
    with open_client(dsn, wait_seconds=10, create_database=True):
        pass


def who_works(client: Client) -> tuple[int, str]:
    return os.getpid() if client.query("SELECT 1").result_rows == [(1,)] else 0, os.environ.get("SAID", "")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "A_MOMENT_SECONDS", 0.0)


def asked(dsn: Dsn) -> tuple[int, str]:
    return call(dsn, who_works, wait_seconds=10, limit_seconds=LONG)


def ready(parent: int | None = None) -> list[psutil.Process]:
    """The children that wait for work of this process, or another."""
    children = psutil.Process(parent).children()
    return [one for one in children if one.is_running() and "dags.clickhouse.child" in one.cmdline()]


def the_next(parent: int | None = None) -> psutil.Process:
    """The one that waits, once it has been started."""
    until = time.monotonic() + LONG
    while not ready(parent) and time.monotonic() < until:
        time.sleep(0.05)
    [waiting] = ready(parent)
    return waiting


def test_who_has_asked_twice_has_the_next_child_ready_and_it_works_once(dsn: Dsn) -> None:
    first = asked(dsn)
    assert ready() == []
    second = asked(dsn)
    waiting = the_next()
    third = asked(dsn)
    assert third == (waiting.pid, "")
    next_one = the_next()
    assert len({first[0], second[0], third[0], next_one.pid}) == 4


def test_a_child_that_was_started_under_other_settings_is_not_asked(dsn: Dsn, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(dsn), asked(dsn)
    waiting = the_next()
    monkeypatch.setenv("SAID", "since then")
    works, said = asked(dsn)
    assert (works != waiting.pid, said) == (True, "since then")
    assert ready() == []


@pytest.mark.parametrize(
    ("end", "then"), [(signal.SIGKILL, psutil.STATUS_ZOMBIE), (signal.SIGSTOP, psutil.STATUS_STOPPED)]
)
def test_a_child_that_was_killed_or_stopped_while_it_waited_is_replaced(
    dsn: Dsn, end: signal.Signals, then: str
) -> None:
    asked(dsn), asked(dsn)
    waiting = the_next()
    waiting.send_signal(end)
    until = time.monotonic() + LONG
    while waiting.status() != then and time.monotonic() < until:
        time.sleep(0.01)
    works, _ = asked(dsn)
    assert works not in {0, waiting.pid}


def test_a_child_that_dies_in_the_moment_in_which_it_is_taken_is_replaced(
    dsn: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(dsn), asked(dsn)
    waiting = the_next()

    def alive_a_moment_ago(child: subprocess.Popen[bytes]) -> None:
        if child.pid == waiting.pid:
            os.kill(child.pid, signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(subprocess.Popen, "poll", alive_a_moment_ago)
        taken = child._next.take()
    assert taken is not None
    monkeypatch.setattr(child._next, "take", lambda: taken)
    works, _ = asked(dsn)
    assert works not in {0, waiting.pid}


def test_that_no_next_child_can_be_started_takes_no_answer_away(dsn: Dsn, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(dsn)
    started = child._started

    def without_memory(*modules: str) -> subprocess.Popen[bytes]:
        if modules:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return started()

    monkeypatch.setattr(child, "_started", without_memory)
    assert asked(dsn)[0] > 0
    assert ready() == []


def test_a_process_whose_directory_is_gone_takes_no_child_that_waits_and_leaves_none(
    dsn: Dsn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(gone)
    asked(dsn), asked(dsn)
    the_next()
    gone.rmdir()
    assert child._next.take() is None
    assert ready() == []


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_process_that_asks_ends_the_child_that_waits_for_it(dsn: Dsn, end: signal.Signals) -> None:
    words = str(dsn).split(" ")[0]
    with subprocess.Popen([sys.executable, "-c", A_CODE_SERVER, words], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "asked twice\n"
        waiting = the_next(server.pid)
        server.send_signal(end)
        server.wait(LONG)
        waiting.wait(LONG)
