"""Put the load on and print what it did to whom: ``python -m dags.tests.load [--minutes 60] [--teams 100] …``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from dags.bench.machine import load, machine
from dags.tests.load.driver import Driver
from dags.tests.load.report import report
from dags.tests.load.world import Size, made


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=12, help="of operation, once all is made; default: 12")
    options.add_argument("--teams", type=int, default=2000)
    options.add_argument("--days", type=int, default=90)
    options.add_argument("--events", type=int, default=40, help="of a team on a day; default: 40")
    options.add_argument("--quiet-seconds", type=float, default=45, help="of each phase without backfills; default: 45")
    options.add_argument("--lost-days", type=int, default=7, help="that each tick has to build; default: 7, the most")
    given = options.parse_args()
    started = time.monotonic()

    def say(words: str) -> None:
        print(f"… {time.monotonic() - started:4.0f} s  {words}", file=sys.stderr, flush=True)

    # Daemon and code server are in sessions of their own: who ends this process has to end them too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    size = Size(given.teams, given.days, given.events)
    # Settings of the location are taken over, so that each can be tried: WEB_ANALYTICS_BUILD_MAX_THREADS=1 make load.
    own = {name: value for name, value in os.environ.items() if name.startswith("WEB_ANALYTICS_B")}
    print(machine(), flush=True)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="load-")))
        directory.chmod(0o755)  # PostgreSQL is another user
        world = made(stack, directory, size, own, say)
        seen = Driver(world, size, given.quiet_seconds, given.lost_days, say).play(directory, 60 * given.minutes)
    text, is_met = report(seen)
    print(f"  settings  {own or 'as shipped'}; at the end {load()}\n\n{text}")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
