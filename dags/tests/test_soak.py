"""The code server lives for days and ticks all the time: what its ticks leave behind in it must not grow.

The long-lived process is a real one of its own, which never opens the embedded engine: this file run as a script.
What a tick does there is a whole detection, through `call`, as the sensor does it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from dags.clickhouse.child import call
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.detection.store import detect
from dags.team_selection.store import write_selection
from dags.tests.builds import build
from dags.tests.events import Event, at, insert
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from pathlib import Path

NOW = at("2026-01-20 12:00:00")
TEAMS = range(1, 21)
DAYS = [date(2026, 1, day) for day in (15, 16, 17, 18, 19)]
BUILT = DAYS[1:3]

# The first ticks load what Python and the allocator keep.
WARM_UP_TICKS = 2

# Reasoned: an open in the process would cost 2 MB a tick, 120 MB in 60 of them.
LIMIT_BYTES = 20_000_000

# A tick is a second, and CI has minutes.
TICKS = int(os.environ.get("WEB_ANALYTICS_TEST_TICKS", "300"))


def prepare(directory: str) -> None:
    """Twenty teams with traffic on five days, two of which are built."""
    with open_client(Dsn.parse(f"chdb://{directory}"), wait_seconds=60, create_database=True) as client:
        apply_schema(client, WEB_TABLES)
        noon = timedelta(hours=12)
        insert(client, (Event(team, at(f"{day} 00:00:00") + noon, f"s{day}") for team in TEAMS for day in DAYS))
        write_selection(client, TEAMS)
        for day in BUILT:
            build(client, *TEAMS, day=day)


def tick_often(directory: str, ticks: int) -> None:
    """Detect that many times; print what the first and the last tick found and left, as JSON."""
    dsn, itself = Dsn.parse(f"chdb://{directory}"), psutil.Process()
    work = partial(detect, now=NOW, watched=WEB_TABLES, lookback_days=30, settle=timedelta(hours=1))
    figures: list[dict[str, Any]] = []
    for number in range(1, ticks + 1):
        started = time.monotonic()
        found = call(dsn, work, wait_seconds=15, limit_seconds=50)
        figures.append(
            {
                "tick": number,
                "seconds": round(time.monotonic() - started, 2),
                "fds": itself.num_fds(),
                "threads": itself.num_threads(),
                "rss": itself.memory_info().rss,
                "children": len(itself.children()),
                "missing": len(found.missing),
                "complete": sum(found.complete_by_table.values()),
                "unknown": len(found.unknown),
            }
        )
    print(json.dumps(figures))


def figures_of(directory: Path, ticks: int) -> list[dict[str, Any]]:
    script = [sys.executable, "-m", "dags.tests.test_soak", f"{directory}/data"]
    subprocess.run(script, check=True, timeout=120)
    done = subprocess.run(
        [*script, str(ticks)], check=True, stdout=subprocess.PIPE, text=True, timeout=120 + 20 * ticks
    )
    figures: list[dict[str, Any]] = json.loads(done.stdout)
    return figures


@pytest.mark.slow(minutes=1)
def test_a_process_that_ticks_all_the_time_does_not_grow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = figures_of(tmp_path, TICKS)
    warm, last = figures[WARM_UP_TICKS - 1], figures[-1]
    seconds = sorted(figure["seconds"] for figure in figures)
    with capsys.disabled():
        print(
            f"\n{TICKS} ticks of {seconds[len(seconds) // 2]} s (median, at most {seconds[-1]} s): "
            f"descriptors {warm['fds']} → {last['fds']}, threads {warm['threads']} → {last['threads']}, "
            f"memory {warm['rss'] / 1e6:.1f} → {last['rss'] / 1e6:.1f} MB"
        )
    assert [figure["tick"] for figure in figures] == list(range(1, TICKS + 1))
    # Every tick really worked, and found the same.
    units = len(TEAMS) * len(WEB_TABLES)
    found = {(figure["missing"], figure["complete"], figure["unknown"]) for figure in figures}
    assert found == {((len(DAYS) - len(BUILT)) * units, len(BUILT) * units, 0)}
    assert (last["fds"], last["threads"], last["children"]) == (warm["fds"], warm["threads"], 0)
    assert last["rss"] - warm["rss"] < LIMIT_BYTES


if __name__ == "__main__":
    if len(sys.argv) > 2:
        tick_often(sys.argv[1], int(sys.argv[2]))
    else:
        prepare(sys.argv[1])
