"""``make bench``, or ``python -m dags.bench [--quick] [name ...]``: prints the figures with the machine.

Progress goes to standard error, figures to standard output. A target that is missed is printed and is no error; two
ways with different results are one.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from dags.bench.cli import cli
from dags.bench.coldstart import coldstart
from dags.bench.core import core
from dags.bench.detection import detection
from dags.bench.figures import BESIDE, paragraph, table
from dags.bench.files import files
from dags.bench.machine import load, machine
from dags.bench.managed import managed
from dags.bench.page import page
from dags.bench.postgres import ROWS, postgres
from dags.bench.preaggregation import preaggregation
from dags.bench.repair import repair
from dags.bench.retention import retention
from dags.bench.shards import shards
from dags.bench.start import start
from dags.bench.tick import tick
from dags.tests.clickhouse_server import require_or_skip_reason

if TYPE_CHECKING:
    from collections.abc import Sequence

BENCHMARKS = {
    "preaggregation": preaggregation,
    "repair": repair,
    "managed": managed,
    "tick": tick,
    "detection": detection,
    "coldstart": coldstart,
    "core": core,
    "cli": cli,
    "postgres": postgres,
    "files": files,
    "start": start,
    "retention": retention,
    "page": page,
    "shards": shards,
}
NEEDS_A_SERVER = ("preaggregation", "repair", "managed", "tick", "detection", "coldstart", "postgres", "files", "start")

NOTE = """Each figure is taken in turns with its peer, A B A B: the median, and the smallest and the largest. Ratios
are those of neighbours, for what else the machine does falls on both."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m dags.bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help=f"one or more of {', '.join(BENCHMARKS)}; all if none")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run? The figures mean nothing")
    parser.add_argument("--rows", type=int, help=f"rows that postgres loads; {ROWS:,} if not given")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark is named {', '.join(unknown)}: name one or more of {', '.join(BENCHMARKS)}")
    print(machine())
    print(paragraph(NOTE))
    if options.quick:
        print("  QUICK: small sizes, to see that it runs. The figures mean nothing.")
    started = time.monotonic()
    lines: list[list[str]] = []
    for name in options.names or BENCHMARKS:
        reason = require_or_skip_reason() if name in NEEDS_A_SERVER else None
        if reason:
            print(f"\n{name}: left out, {reason}")
            continue
        run = partial(postgres, rows=options.rows) if name == "postgres" else BENCHMARKS[name]
        for told in run(quick=options.quick, progress=_say):
            if isinstance(told, str):
                print(f"\n{told}", flush=True)
            else:
                lines.append(told.cells)
    if lines:
        print(f"\nbeside floor and peer\n\n{table(BESIDE, lines)}")
    print(f"\n  {time.monotonic() - started:.0f} s in all; {load()} at the end")
    return 0


def _say(message: str) -> None:
    print(f"… {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
