"""Whether the process of a run is gone that died before it took its lock: by its id, hence on this machine alone.

Between Dagster's word that a run has started and the set-up of its resources lies up to a second, and who is killed
then leaves no file. What is left is the id that the launcher has logged. Pure but for the operating system.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

# Clocks are set, and the start of a process is known to a hundredth of a second after that of the machine.
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


def is_gone(pid: int, since: float) -> bool:
    """Whether the process that had this id at that instant is dead; a Unix timestamp. In doubt it is not."""
    if pid <= 1:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    try:
        state, *facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        [boot] = [line.split()[1] for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime ")]
        threads, started = int(facts[16]), int(boot) + int(facts[18]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):  # no Linux, or it has just gone
        return False
    is_zombie = state in ("Z", "X") and threads <= 1
    return is_zombie or started > since + CLOCK_SECONDS
