"""A run's lock, with real processes: free when its process is dead, and not before."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from dags.dagster_runs import locks
from dags.dagster_runs.locks import death, forget, let_go, names, take
from dags.dagster_runs.processes import clock_is_steady

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLDER = """
import sys, time
from pathlib import Path
from dags.dagster_runs.locks import take
take(Path(sys.argv[1]), sys.argv[2])
print("held", flush=True)
time.sleep(600)
"""


@contextmanager
def a_process(directory: Path, run_id: str) -> Iterator[subprocess.Popen[str]]:
    """A process that carries a run out."""
    child = subprocess.Popen([sys.executable, "-c", HOLDER, str(directory), run_id], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
    finally:
        child.kill()
        child.communicate()


def test_a_killed_process_is_dead_and_one_that_lives_or_is_stopped_is_not(tmp_path: Path) -> None:
    assert death(tmp_path, "unknown") is None
    with a_process(tmp_path, "run") as child:
        assert death(tmp_path, "run") is None
        child.send_signal(signal.SIGSTOP)
        assert death(tmp_path, "run") is None
        # Nobody has waited for it yet: it is a zombie, as under a parent that does not care.
        child.kill()
        until = time.monotonic() + 10
        while death(tmp_path, "run") is None:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert child.returncode is None
        assert death(tmp_path, "run") == f"process {child.pid} on {os.uname().nodename}"
    assert names(tmp_path) == {"run"}
    forget(tmp_path, {"run", "unknown"})
    assert names(tmp_path) == frozenset()
    assert names(tmp_path / "absent") == frozenset()


def test_a_lock_of_another_machine_is_not_judged_and_one_of_before_a_restart_is(tmp_path: Path) -> None:
    with a_process(tmp_path, "run"):
        pass
    who = json.loads((tmp_path / "run").read_text())
    for changes, is_dead in (
        ({"host": "elsewhere", "boot": "another"}, False),
        ({"host": "elsewhere", "boot": ""}, False),
        ({"host": "elsewhere"}, True),  # another container of this machine
        ({"boot": "another"}, True),  # this machine, before it was started again
    ):
        (tmp_path / "run").write_text(json.dumps(who | changes))
        assert (death(tmp_path, "run") is not None) == is_dead
    for content in ("", "[]", "{}", "no json"):
        (tmp_path / "run").write_text(content)
        assert death(tmp_path, "run") is None


def test_a_lock_is_held_until_the_process_carries_out_another_run(tmp_path: Path) -> None:
    take(tmp_path, "first")
    take(tmp_path, "first")
    let_go(tmp_path, "first")
    assert death(tmp_path, "first") is None
    of_the_first = (tmp_path / "first").stat().st_ino
    take(tmp_path, "first")  # its resources are set up once more: at no instant is it free
    assert (tmp_path / "first").stat().st_ino == of_the_first
    take(tmp_path, "within the first")
    assert death(tmp_path, "first") is None
    for run_id in ("within the first", "first"):
        let_go(tmp_path, run_id)
    take(tmp_path, "second")
    assert death(tmp_path, "first") is not None
    assert death(tmp_path, "second") is None
    let_go(tmp_path, "second")
    take(tmp_path, "third")
    let_go(tmp_path, "third")
    assert len(locks._held) == 1


def test_files_that_nobody_removes_are_removed_after_a_week(tmp_path: Path) -> None:
    for name in ("old", ".old.1"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, time.time() - locks.OLD_SECONDS - 60))
    take(tmp_path, "new")
    let_go(tmp_path, "new")
    assert names(tmp_path) == {"new"}


def test_a_lock_that_is_held_keeps_its_file_however_old_that_seems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    with a_process(tmp_path, "living"):
        assert clock_is_steady(tmp_path)
        monkeypatch.setattr(time, "time", lambda: now() + 8 * 86_400)
        take(tmp_path, "next")
        let_go(tmp_path, "next")
        assert names(tmp_path) == {"living", "next"}
        assert not clock_is_steady(tmp_path)  # what tells that the clock was set is not removed by it either


def test_a_directory_that_cannot_be_written_is_an_error_that_the_run_survives(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory"):
        take(tmp_path / "file" / "locks", "run")
