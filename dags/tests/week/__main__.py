"""Play the week and print what was said and what was so: ``python -m dags.tests.week [--since Fri] [--until Sun]``."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from dags.tests.week.clock import Clock, now, obstacle
from dags.tests.week.report import Seen, faults, table
from dags.tests.week.script import DAYS, END, at

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

# The child that goes by the moved clock has this, and a directory.
_MOVED = "--moved"


def play(directory: Path, since: datetime, until: datetime, say: Callable[[str], None]) -> Seen:
    """The week in this process, which goes by a clock that can be moved."""
    from dags.tests.week.world import driver  # noqa: PLC0415 -- the definitions read the settings, which are made there

    with ExitStack() as stack:
        return driver(stack, directory, since, say).play(since, until)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--since", choices=DAYS, default=DAYS[0], help="the first day that is played; default: Mon")
    options.add_argument("--until", choices=DAYS, help="the first day that is not played any more; default: all are")
    options.add_argument(_MOVED, type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.moved is None:
        if why := obstacle():
            sys.exit(f"no clock can be moved here: {why}")
        return _in_a_child(sys.argv[1:])
    began = time.monotonic()

    def say(words: str) -> None:
        print(f"… {time.monotonic() - began:4.0f} s  {now():%a %H:%M}  {words}", file=sys.stderr, flush=True)

    logging.disable(logging.CRITICAL)
    seen = play(given.moved, at(given.since, 0), at(given.until, 0) if given.until else END, say)
    found = faults(seen)
    print(table(seen, found))
    return int(bool(found))


def _in_a_child(arguments: list[str]) -> int:
    """The same command, by a clock of its own."""
    memory = Path("/dev/shm")  # noqa: S108 -- a directory of our own is made in it
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="week-", dir=place) as made:
        directory = Path(made)
        directory.chmod(0o755)  # PostgreSQL is another user
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "WEB_"))}
        environment = {**kept, **Clock.made(directory).environment, "TZ": "UTC"}
        command = [sys.executable, "-m", "dags.tests.week", _MOVED, made, *arguments]
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
