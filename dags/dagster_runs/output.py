"""Finds out whether what a command printed got to standard output.

Dagster has a step print into a file, and another process, `tail`, copies that to the terminal or wherever the output
goes. Where it cannot write, on a full disk, it ends, and nobody notices: a script would read no answer and exit code 0.
Where there is no /proc nothing is noticed either.
"""

from __future__ import annotations

import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")

# How long the copying process has to meet its error: it is told at once of each line. Chosen, as the wait of
# `dags.dagster_runs.console` that lets the last lines out.
_MEETS_ITS_ERROR_SECONDS = 0.1

# Whoever reads the output has read enough and went away, as `head` does: no answer is missed.
_ENOUGH = {0, signal.SIGPIPE}


@dataclass(frozen=True)
class Copier:
    """The process that copies what this one prints; ``pid`` is None where nobody does."""

    pid: int | None

    @classmethod
    def of_this_process(cls) -> Copier:
        """To be asked for before anything is printed, as one that has ended cannot be told from others."""
        children: list[str] = []
        with suppress(OSError):
            for task in (_PROC / "self/task").iterdir():
                children += (task / "children").read_text().split()
        return cls(next((int(child) for child in children if _copies_output(child)), None))

    def has_failed(self) -> bool:
        """Whether it has ended over something that it could not write."""
        if self.pid is None:
            return False
        sys.stdout.flush()
        time.sleep(_MEETS_ITS_ERROR_SECONDS)
        try:
            # Behind the name, which may hold blanks: the state first, how it ended last.
            state, *_, ended = (_PROC / f"{self.pid}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            return False
        return state == "Z" and int(ended) not in _ENOUGH


def _copies_output(child: str) -> bool:
    with suppress(OSError):
        program, *arguments = (_PROC / child / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        return program.rpartition(b"/")[2] == b"tail" and any(one.endswith(b".out") for one in arguments)
    return False
