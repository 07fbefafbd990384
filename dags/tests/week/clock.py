"""Moves the clock of the wall for this process and all that it starts, a ClickHouse server among them.

The library is C, `clock.c`, compiled when it is needed; what preloads it reads the same 8 bytes of a file.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "TEST_CLOCK"

_SOURCE = Path(__file__).with_name("clock.c")


class ClockError(Exception):
    """The clock cannot be moved here."""


def obstacle() -> str | None:
    """Why no clock can be moved on this machine; None if one can."""
    if not Path("/proc/self/maps").exists():
        return "it needs Linux"
    return None if shutil.which("cc") else "no C compiler `cc` on PATH"


class Clock:
    """A clock that whoever has its `environment` goes by. It runs on by itself, and is where it was `set` last."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def made(cls, directory: Path) -> Clock:
        """One of its own, in a directory that others may read, with its library; it shows the real time.

        Raises:
            ClockError: the library cannot be compiled.
        """
        clock = cls(directory / "clock")
        clock._write(0)
        command = ["cc", "-O2", "-shared", "-fPIC", "-o", str(clock._library), str(_SOURCE), "-ldl", "-lpthread"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ClockError(f"{_SOURCE.name} cannot be compiled: {done.stderr.strip()}")
        return clock

    @classmethod
    def of_this_process(cls) -> Clock:
        """The one that this process was started with."""
        return cls(Path(os.environ[VARIABLE]))

    @property
    def _library(self) -> Path:
        return self._path.with_suffix(".so")

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process must be started with to go by it."""
        return {VARIABLE: str(self._path), "LD_PRELOAD": str(self._library)}

    def set(self, moment: datetime) -> None:
        """It is that moment now, for all."""
        shown, ahead = time.time_ns(), self._read()
        self._write(ahead + int(moment.timestamp() * 1e9) - shown)

    def _read(self) -> int:
        return int(struct.unpack("<q", self._path.read_bytes())[0])

    def _write(self, nanoseconds: int) -> None:
        with self._path.open("r+b" if self._path.exists() else "wb") as file:
            file.write(struct.pack("<q", nanoseconds))


def now() -> datetime:
    return datetime.now(UTC)
