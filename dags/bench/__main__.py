"""``make bench``, or ``python -m dags.bench [--quick] [--before CHECKOUT] [name ...]``: prints figures and machine.

Progress goes to standard error, figures to standard output. A target that is missed is printed and is no error; two
ways with different results are one.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dags.bench.before import OtherError, as_json, compared, measuring
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

    from dags.bench.before import Measure
    from dags.bench.figures import Beside, Within

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

# Those that tell something for the last table.
COMPARED = ("preaggregation", "repair", "tick", "detection", "coldstart", "cli")

NOTE = """Each figure is taken in turns with its peer, A B A B: the median, and the smallest and the largest. Ratios
are those of neighbours, for what else the machine does falls on both."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m dags.bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help=f"one or more of {', '.join(BENCHMARKS)}; all if none")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run? The figures mean nothing")
    parser.add_argument("--rows", type=int, help=f"rows that postgres loads; {ROWS:,} if not given")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="write what is ours of the last table there")
    parser.add_argument(
        "--before", type=Path, metavar="CHECKOUT", help="measure the code of that one, too: each benchmark before ours"
    )
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark is named {', '.join(unknown)}: name one or more of {', '.join(BENCHMARKS)}")
    with ExitStack() as stack:
        other: Measure | None = None
        if options.before is not None:
            try:
                other = stack.enter_context(measuring(options.before))
            except OtherError as error:
                parser.error(str(error))
        print(machine())
        print(paragraph(NOTE))
        if options.quick:
            print("  QUICK: small sizes, to see that it runs. The figures mean nothing.")
        started = time.monotonic()
        lines = _carried_out(options.names or list(BENCHMARKS), other, is_quick=options.quick, rows=options.rows)
        if lines:
            print(f"\nbeside floor and peer\n\n{table(BESIDE, [one.cells for one in lines])}")
        if options.figures is not None:
            options.figures.write_text(as_json(lines))
        print(f"\n  {time.monotonic() - started:.0f} s in all; {load()} at the end")
    return 0


def _carried_out(
    names: Sequence[str], other: Measure | None, *, is_quick: bool, rows: int | None
) -> list[Beside | Within]:
    """Print what benchmarks tell; what they tell for the last table. ``other`` measures another state of the code."""
    lines: list[Beside | Within] = []
    for name in names:
        reason = require_or_skip_reason() if name in NEEDS_A_SERVER else None
        if reason:
            print(f"\n{name}: left out, {reason}")
            continue
        before: list[Within] = []
        if other is not None and name in COMPARED:
            _say(f"{name}, before")
            try:
                before = other([name, *["--quick"] * is_quick])
            except OtherError as error:
                print(f"\n{name}, before: left out, {error}")
        run = partial(postgres, rows=rows) if name == "postgres" else BENCHMARKS[name]
        ours: list[Beside | Within] = []
        for told in run(quick=is_quick, progress=_say):
            if isinstance(told, str):
                print(f"\n{told}", flush=True)
            else:
                ours.append(told)
        lines += [*ours, *compared(ours, before)]
    return lines


def _say(message: str) -> None:
    print(f"… {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    # Servers and other processes that were started are ended by whoever leaves their `with`.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    sys.exit(main(sys.argv[1:]))
