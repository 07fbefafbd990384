"""What the figures were taken on. A figure without its machine says nothing."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import chdb
import dagster


def machine() -> str:
    """The machine and the versions, in a few lines."""
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    version = ".".join(chdb.chdb_version)
    return f"""\
  machine   {os.cpu_count()} cores of {_processor()}, {gibibytes:.0f} GiB, {platform.system()}
  versions  python {platform.python_version()}, dagster {dagster.__version__}, chDB {version} of {chdb.engine_version}
  load      {load()}"""


def load() -> str:
    """How busy the machine is: processes that want a core, averaged over the last minute."""
    return f"{os.getloadavg()[0]:.1f} processes want a core"


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
