"""What a command printed gets out before Dagster ends the process that copies it."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from dags.dagster_runs.output import _PATIENCE_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

# As a step of a command, by Dagster's own way to copy what it prints; and a way to look whether it got out.
_STEP = """
import signal
import sys
from pathlib import Path

signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whoever started this may ignore it, and `tail` would never end then
from dagster._core.execution.compute_logs import mirror_stream_to_file
from dags.dagster_runs import output
from dags.dagster_runs.output import Copiers

directory, count, output._PATIENCE_SECONDS = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
with mirror_stream_to_file(sys.stdout, directory / "x.out"), mirror_stream_to_file(sys.stderr, directory / "x.err"):
    copiers = Copiers.of_this_process()
    print("." * count)
    print("the last words", file=sys.stderr)
    copiers.let_out()
    copiers.let_out()
    has_failed = copiers.has_failed()
    seen = copiers.output, copiers.output and copiers.output.stat(), output._given_up
    (directory / "seen").write_text(str(seen))
sys.exit(3 if has_failed else 0)
"""

# A pipe holds as much, and `tail` reads so far ahead of what it has written.
_PIPE, _AHEAD = 65_536, 8_192


def step(directory: Path, count: int, patience: float = _PATIENCE_SECONDS) -> list[str]:
    return [sys.executable, "-c", _STEP, str(directory), str(count), str(patience)]


@pytest.mark.parametrize("count", [_PIPE + _AHEAD // 2, 10 * _PIPE])
def test_all_that_was_printed_gets_to_whoever_reads_slowly(tmp_path: Path, count: int) -> None:
    with subprocess.Popen(step(tmp_path, count), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        time.sleep(0.7)  # what copies is held up meanwhile
        assert running.stdout.read() == "." * count + "\n"
        assert running.stderr.read() == "the last words\n"
    assert running.returncode == 0


def test_an_answer_that_nobody_reads_on_has_failed_and_is_not_waited_for_again(tmp_path: Path) -> None:
    with subprocess.Popen(step(tmp_path, 2 * _PIPE, 0.5), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.wait(timeout=20) == 3


def test_what_cannot_be_written_has_failed_and_what_enough_was_read_of_has_not(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 -- a device
        assert subprocess.run(step(tmp_path, 1), stdout=full, stderr=subprocess.DEVNULL, check=False).returncode == 3
    with subprocess.Popen(step(tmp_path, 10 * _PIPE), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdout is not None
        running.stdout.read(1)
        running.stdout.close()
    assert running.returncode == 0, (tmp_path / "seen").read_text()


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_failure(closed: str) -> None:
    said = "from dags.dagster_runs.output import Copiers; Copiers().let_out()"
    assert subprocess.run(["bash", "-c", f"'{sys.executable}' -c '{said}' {closed}"], check=False).returncode == 0
