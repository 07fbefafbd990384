"""What a command printed gets out before Dagster ends the process that copies it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

# As a step of a command, by Dagster's own way to copy what it prints; and a way to look whether it got out.
_STEP = """
import sys
from pathlib import Path
from dagster._core.execution.compute_logs import mirror_stream_to_file
from dags.dagster_runs.output import Copiers

directory = Path(sys.argv[1])
with mirror_stream_to_file(sys.stdout, directory / "x.out"), mirror_stream_to_file(sys.stderr, directory / "x.err"):
    copiers = Copiers.of_this_process()
    for number in range(int(sys.argv[2])):
        print(f"line {number}")
    print("the last words", file=sys.stderr)
    copiers.let_out()
    has_failed = copiers.has_failed()
sys.exit(3 if has_failed else 0)
"""


def step(directory: object, lines: int) -> list[str]:
    return [sys.executable, "-c", _STEP, str(directory), str(lines)]


@pytest.mark.parametrize("lines", [1, 100_000])
def test_all_that_was_printed_gets_to_whoever_reads_slowly(tmp_path: object, lines: int) -> None:
    with subprocess.Popen(step(tmp_path, lines), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        time.sleep(1)  # a pipe holds 64 kB, and what copies is held up meanwhile
        assert running.stdout.read().splitlines() == [f"line {number}" for number in range(lines)]
        assert running.stderr.read() == "the last words\n"
    assert running.returncode == 0


def test_what_cannot_be_written_has_failed_and_what_enough_was_read_of_has_not(tmp_path: object) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 -- a device
        assert subprocess.run(step(tmp_path, 1), stdout=full, stderr=subprocess.DEVNULL, check=False).returncode == 3
    with subprocess.Popen(step(tmp_path, 100_000), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.stdout.close()
    assert running.returncode == 0
