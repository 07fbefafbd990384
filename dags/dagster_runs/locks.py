"""Tells whether the process of a run is dead, by a lock on a file that the kernel frees when the process ends.

A lock and not a process id: an id is given to others later, and means nothing in another container. The lock of a
process that is stopped (SIGSTOP), or waits for hours, is held as before; that of one which was killed, or went down
with its container or its machine, is free. The file lies beside the instance's own files, so whoever shares these,
from another container too, sees the same lock. Of a run without a file nothing is known here.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from dags.dagster_runs.processes import boot_id, clock_file

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

# No run lasts so long: the longest that a job of ours may take is two days.
OLD_SECONDS = 7 * 86_400

# The locks of this process by the path of their file. A process carries out one run after the other, hence few.
_held: dict[Path, int] = {}
_over: set[Path] = set()


def take(directory: Path, run_id: str) -> None:
    """Hold the lock of a run until this process ends, or begins another run after `let_go`.

    The file gets its name when it is locked already, so that nobody finds it free before.

    Raises:
        OSError: the directory cannot be written.
    """
    path = directory / run_id
    if path in _held:
        _over.discard(path)
        return
    _close_what_is_over()
    directory.mkdir(parents=True, exist_ok=True)
    _remove_old_files(directory)
    hidden = directory / f".{run_id}.{os.getpid()}"
    handle = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "boot": boot_id()}).encode())
    os.fsync(handle)  # a machine that loses its power loses its runs too
    hidden.replace(path)
    _held[path] = handle


def let_go(directory: Path, run_id: str) -> None:
    """The run is nearly over: its end is yet to be told to Dagster, so the lock is held a little longer."""
    _over.add(directory / run_id)


def death(directory: Path, run_id: str) -> str | None:
    """Which process carried the run out, in words, if that is dead; None if it lives or nothing is known.

    A lock that was taken on another machine is not judged: over a network's file system it may look free and be held.
    """
    with suppress(OSError, ValueError, LookupError, TypeError):  # no file, held, or not ours
        handle = os.open(directory / run_id, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(handle) as opened:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises when it is held
            who = json.load(opened)
            is_here = who["host"] == socket.gethostname() or (who["boot"] and who["boot"] == boot_id())
            # Another process may have put its own file there since, as a run that is resumed does.
            is_same = os.fstat(handle).st_ino == (directory / run_id).stat().st_ino
            return f"process {who['pid']} on {who['host']}" if is_here and is_same else None
    return None


def names(directory: Path) -> frozenset[str]:
    """The runs that have a file, ended ones among them; a file that is yet to get its name is not looked at."""
    with suppress(FileNotFoundError):
        return frozenset(path.name for path in directory.iterdir() if not path.name.startswith("."))
    return frozenset()


def forget(directory: Path, run_ids: Collection[str]) -> None:
    """Remove the files of runs that have ended."""
    for run_id in run_ids:
        with suppress(OSError):
            (directory / run_id).unlink()


def _close_what_is_over() -> None:
    for path in _over & _held.keys():
        os.close(_held.pop(path))
    _over.clear()


def _remove_old_files(directory: Path) -> None:
    """Where no daemon runs, nobody else does. Of a lock that is held it is the holder that counts, not the clock."""
    now = time.time()
    for path in set(directory.iterdir()) - {clock_file(directory)}:  # old by a clock that was set, which it tells
        with suppress(OSError):
            if now - path.stat().st_mtime > OLD_SECONDS:
                _remove_unless_held(path)


def _remove_unless_held(path: Path) -> None:
    """Raises: OSError: it is held, or gone."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_ino == path.stat().st_ino:
            path.unlink()
