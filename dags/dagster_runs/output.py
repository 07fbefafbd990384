"""Has what a command printed get to where it goes, and finds out whether it did.

Dagster has a step print into files, and other processes, `tail`, copy these to the terminal or wherever the output
goes. At the end it ends them, whether they have got to the end of what was printed or not. And where one cannot write,
on a full disk, it ends by itself, and nobody notices: a script would read no answer and exit code 0.

Where /proc does not tell the children of a process there is a wait, and nothing is noticed.
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

# How long whoever reads the output may take for it, as one who pages through it does: past this the rest is lost, for a
# step does not wait for a person. Chosen: many times what a busy machine needs.
_PATIENCE_SECONDS = 5.0
_LOOKS_AGAIN_SECONDS = 0.002

# Where it is not seen how far a copier has got. Chosen: many times what it needs.
_UNSEEN_SECONDS = 0.1

# Whoever reads the output has read enough and went away, as `head` does: no answer is missed.
_ENOUGH = {0, signal.SIGPIPE}

_ZOMBIE, _SLEEPING = "Z", "S"


@dataclass(frozen=True)
class Copier:
    """A process that copies what this one prints into ``path``."""

    pid: int
    path: Path

    def is_behind(self) -> bool:
        """Whether there is more to copy, or to be written of what it has read: it sleeps where there is not."""
        try:
            state, _ = self._stat()
            return state != _ZOMBIE and (state != _SLEEPING or self._read() < self.path.stat().st_size)
        except OSError:  # it has been ended meanwhile, or is another's
            return False

    def has_failed(self) -> bool:
        """Whether it has ended over something that it could not write."""
        try:
            state, ended = self._stat()
        except OSError:
            return False
        return state == _ZOMBIE and ended not in _ENOUGH

    def _stat(self) -> tuple[str, int]:
        # Behind the name, which may hold blanks: the state first, how it ended last.
        state, *_, ended = (_PROC / f"{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return state, int(ended)

    def _read(self) -> int:
        """How far it has read; nothing before it has opened the file."""
        for handle in (_PROC / f"{self.pid}/fd").iterdir():
            if handle.readlink() == self.path:
                position, *_ = (_PROC / f"{self.pid}/fdinfo/{handle.name}").read_text().split("\n")
                return int(position.removeprefix("pos:"))
        return -1


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
            with suppress(OSError):
                program, *arguments = (_PROC / f"{child}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                if program.rpartition(b"/")[2] == b"tail":
                    path = Path(os.fsdecode(arguments[-1])).resolve()
                    found[path.suffix] = Copier(child, path)
        return cls(found.get(".out"), found.get(".err"))

    def let_out(self) -> None:
        """Return when all that was printed has been copied, or nobody copies, or who reads it takes too long."""
        sys.stdout.flush()
        sys.stderr.flush()
        if not (_PROC / "thread-self/children").exists():  # which a kernel may be built without
            time.sleep(_UNSEEN_SECONDS)
            return
        until = time.monotonic() + _PATIENCE_SECONDS
        for copier in filter(None, (self.output, self.errors)):
            while copier.is_behind() and time.monotonic() < until:
                time.sleep(_LOOKS_AGAIN_SECONDS)

    def has_failed(self) -> bool:
        """Whether an answer was printed that could not be written."""
        return self.output is not None and self.output.has_failed()


def _children() -> list[int]:
    found: list[str] = []
    with suppress(OSError):
        for thread in (_PROC / "self/task").iterdir():
            with suppress(OSError):  # one that has ended
                found += (thread / "children").read_text().split()
    return [int(child) for child in found]
