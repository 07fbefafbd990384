"""A reader in a process of its own, as a dashboard is: asks so often a second, and writes down how long it waited.

    python -m dags.tests.load.readers DSN FILE TEAMS SEED

appends a line to the file for each look: when it began, by the machine's monotonic clock, and its seconds.
"""

from __future__ import annotations

import itertools
import random
import sys
import time
from datetime import timedelta
from pathlib import Path

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.sql import Sql
from dags.domain.clock import utc_now

# A reader a browser that is open: several questions a second while somebody clicks, and far from what a server can.
# Faster would make the readers the load, and measure how they stand in each other's way.
LOOKS_A_SECOND = 8

# Who has waited for so long to ask does not ask what he wanted to any more.
PATIENCE_SECONDS = 1.0

# Both tables, over a week and over a month.
QUESTIONS = tuple(itertools.product(("read_stats", "read_bounces"), (7, 30)))


def read(dsn: str, file: Path, teams: int, seed: int) -> None:
    """Look until somebody ends this process.

    A look that comes late because the one before it took too long has waited since it was due: else a server that
    stands still for a second would be one slow look, where it was eight. Not for longer than `PATIENCE_SECONDS`: where
    a server cannot keep up, the queue would be measured, which grows for as long as somebody asks.
    """
    dice, end = random.Random(seed), utc_now().date()
    with open_client(Dsn.parse(dsn), wait_seconds=30, who="reader") as client, file.open("w", buffering=1) as written:
        sql = Sql("dags.tests.load", client)
        due = time.monotonic() + dice.random() / LOOKS_A_SECOND
        while True:
            question, days = dice.choice(QUESTIONS)
            bound = {"team": dice.randint(1, teams), "start": end - timedelta(days=days), "end": end}
            due = max(due, time.monotonic() - PATIENCE_SECONDS)
            late = time.monotonic() > due
            time.sleep(max(0.0, due - time.monotonic()))
            began = due if late else time.monotonic()
            sql.rows(question, bound)
            written.write(f"{began:.6f} {time.monotonic() - began:.6f}\n")
            due += 1 / LOOKS_A_SECOND


if __name__ == "__main__":
    read(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
