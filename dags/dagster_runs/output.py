"""Has what a command printed get to where it goes, and finds out whether it did.

Dagster has a step print into files, and other processes, `tail`, copy these to the terminal or wherever the output
goes. At the end it ends them, whether they have written all that was printed or not. And where one cannot write, on a
full disk, it ends by itself, and nobody notices: a script would read half an answer, or none, and exit code 0.

How much a process has written stands in /proc. Where that is not told there is a wait, and nothing is noticed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")

# How long whoever reads the output may stop, as one who pages through it does, before the rest is lost: a run does not
# wait for a person for ever. Chosen.
_PATIENCE_SECONDS = 60.0
_LOOKS_AGAIN_SECONDS = 0.002

# Where it is not seen how far a copier has got. Chosen: many times what it needs.
_UNSEEN_SECONDS = 0.1

# A process that has just begun has no name yet. Chosen: many times what that takes.
_BEGINS_SECONDS = 0.05

# Whoever reads the output has read enough and went away, as `head` does: no answer is missed.
_ENOUGH = {0, signal.SIGPIPE}

_GONE, _ZOMBIE, _SLEEPING = "", "Z", "S"


@dataclass(frozen=True)
class Copier:
    """A process that copies what this one prints into ``path``."""

    pid: int
    path: Path

    def written(self) -> int:
        """How many bytes it has written; it writes nothing else until it fails, and a write that is held up does not
        count.

        Raises:
            OSError: this is not told, or it has been ended.
        """
        for line in (_PROC / f"{self.pid}/io").read_text().splitlines():
            name, _, count = line.partition(": ")
            if name == "wchar":
                return int(count)
        raise OSError("no count of what it has written")

    def has_failed(self) -> bool:
        """Whether it has ended over something that it could not write."""
        state, ended = self.stat()
        return state == _ZOMBIE and ended not in _ENOUGH

    def stat(self) -> tuple[str, int]:
        """Its state, and how it ended; no state where it is gone."""
        try:
            # Behind the name, which may hold blanks: the state first, how it ended last.
            state, *_, ended = (_PROC / f"{self.pid}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            return _GONE, 0
        return state, int(ended)


# Whose readers have stopped for too long: nobody waits for them again.
_given_up: set[Copier] = set()


@dataclass(frozen=True)
class Copiers:
    """Those of this process: of its standard output and of its errors, as far as they are copied and are seen."""

    output: Copier | None = None
    errors: Copier | None = None

    @classmethod
    def of_this_process(cls) -> Copiers:
        """To be asked for before anything is printed, as one that has ended cannot be told from others."""
        found: dict[str, Copier] = {}
        for child in _children():
            program, *arguments = _command_of(child)
            if program.rpartition(b"/")[2] == b"tail" and arguments:
                path = Path(os.fsdecode(arguments[-1]))
                found[path.suffix] = Copier(child, path)
        return cls(found.get(".out"), found.get(".err"))

    def let_out(self) -> None:
        """Return when all that was printed has been written, or nobody copies it, or who reads it has stopped for too
        long, for whom nobody waits again. Whatever happens, it is no error here.
        """
        for stream in (sys.stdout, sys.stderr):  # each may be closed
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        try:
            for copier in filter(None, (self.output, self.errors)):
                if copier not in _given_up and not _has_let_out(copier):
                    _given_up.add(copier)
        except OSError:
            time.sleep(_UNSEEN_SECONDS)
        if not (_PROC / "thread-self/children").exists():  # which a kernel may be built without
            time.sleep(_UNSEEN_SECONDS)

    def has_failed(self) -> bool:
        """Whether an answer was printed that could not be written, or not all of it."""
        return self.output is not None and (self.output in _given_up or self.output.has_failed())


def _has_let_out(copier: Copier) -> bool:
    """Whether it has written all that there is, or has ended; not once it has stood still for too long.

    Raises:
        OSError: it is not told how far it has got.
    """
    before, until = -1, time.monotonic()
    while (state := copier.stat()[0]) not in (_ZOMBIE, _GONE):
        written = copier.written()
        # One that has met an error is awake: it says so, and ends.
        if written >= copier.path.stat().st_size and state == _SLEEPING:
            break
        if written > before:
            before, until = written, time.monotonic() + _PATIENCE_SECONDS
        elif time.monotonic() > until:
            return False
        time.sleep(_LOOKS_AGAIN_SECONDS)
    return True


def _children() -> list[int]:
    found: list[str] = []
    with suppress(OSError):
        for thread in (_PROC / "self/task").iterdir():
            with suppress(OSError):  # one that has ended
                found += (thread / "children").read_text().split()
    return [int(child) for child in found]


def _command_of(child: int) -> list[bytes]:
    """The words that a process was begun with; one empty one of a process that has ended."""
    until = time.monotonic() + _BEGINS_SECONDS
    with suppress(OSError):
        while True:
            words = (_PROC / f"{child}/cmdline").read_bytes().rstrip(b"\0")
            is_over = ") Z" in (_PROC / f"{child}/stat").read_text()
            if words or is_over or time.monotonic() > until:
                return words.split(b"\0")
            time.sleep(_LOOKS_AGAIN_SECONDS)
    return [b""]
