"""Whether the process of a run is gone that died before it took its lock: by its id, hence on this machine alone.

Between Dagster's word that a run has started and the set-up of its resources lies up to a second, and who is killed
then leaves no file. What is left is the id that the launcher has logged. An id is given to others later, so the process
must be as old as the run: its age counts from the machine's start, and says nothing once the wall clock was set.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")

# Between the stamp in Dagster's log and the look at the process its host's clock may be corrected by so much.
CLOCK_SECONDS = 60.0

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_local(grpc_info: str) -> bool:
    """Whether Dagster's tag on a run names a code server on the machine of the one who launched it.

    The sensor is asked by the same daemon, so it runs where that server's processes are, or in what replaced their
    container.
    """
    try:
        where = json.loads(grpc_info)
    except ValueError:
        return False
    return isinstance(where, dict) and (bool(where.get("socket")) or where.get("host") in _LOOPBACK)


def age_seconds(pid: int | str) -> float | None:
    """How long a process has lived, also ``"self"``; None where that cannot be known.

    Both numbers count from the start of the machine, sleep included: no clock that anybody sets is in them.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(stat[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):  # no Linux, or it has just gone
        return None


def is_gone(pid: int, since: float, *, is_steady: bool) -> bool:
    """Whether the process that had this id at that instant is dead; a Unix timestamp. In doubt it is not.

    ``is_steady``: no clock was set since, see `clock_is_steady`; else a process that lives would look younger than it
    is.
    """
    if pid <= 1:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    age = age_seconds(pid)
    try:
        state, *facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        threads = int(facts[16])
    except (OSError, ValueError, IndexError):  # no Linux, or it has just gone
        return False
    is_zombie = state in ("Z", "X") and threads <= 1
    return is_zombie or (is_steady and age is not None and age < time.time() - since - CLOCK_SECONDS)


def clock_is_steady(directory: Path) -> bool:
    """Whether the wall clock was never set, by more than `CLOCK_SECONDS`, since this was first asked on this machine.

    It is compared with the clock that counts from the machine's start. What is known lies in a file of the directory,
    for whoever asks may be started anew; where it cannot be written, nothing is known.
    """
    try:
        known = clock_file(directory)
        offset = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        seen = [float(one) for one in known.read_text().split()] if known.exists() else []
        least, most = min([offset, *seen]), max([offset, *seen])
        directory.mkdir(parents=True, exist_ok=True)
        hidden = known.with_name(f"{known.name}.{os.getpid()}")
        hidden.write_text(f"{least} {most}")
        hidden.replace(known)
    except (OSError, ValueError, AttributeError):
        return False
    return most - least <= CLOCK_SECONDS


def clock_file(directory: Path) -> Path:
    """Where `clock_is_steady` keeps what it knows of this start of the machine."""
    return directory / f".clock.{boot_id()}"


def boot_id() -> str:
    """Which start of the machine this is; empty where the system has no name for it."""
    with suppress(OSError):
        return _BOOT.read_text().strip()
    return ""
