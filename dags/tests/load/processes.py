"""What a process of Dagster's takes up, over time: memory, descriptors, threads, as Linux says."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dags.tests.load.report import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERY_SECONDS = 2.0


def sample(process: str, pid: int) -> Sample:
    """As it is now. PSS is what is the process's own, and its part of what it shares.

    Raises:
        OSError: there is no such process any more.
    """
    proc = Path("/proc") / str(pid)
    [kibibytes] = [
        int(line.split()[1]) for line in (proc / "smaps_rollup").read_text().splitlines() if line.startswith("Pss:")
    ]
    return Sample(
        time.monotonic(),
        process,
        kibibytes * 1024,
        len(list((proc / "fd").iterdir())),
        len(list((proc / "task").iterdir())),
    )


class Watch:
    """Samples processes until it ends; ``pids`` by what they are called."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self.samples: list[Sample] = []
        self._pids = pids
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            self.samples += [sample(name, pid) for name, pid in self._pids.items()]
