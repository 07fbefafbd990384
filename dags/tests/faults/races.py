"""Four processes that want the same days at the same moment: the sensor, the 02:00 check, the daily build, a person.

Each acts with a Dagster instance of its own, so that nothing but the lease keeps them apart: they are two daemons, and
two people with a terminal.
"""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from unittest import mock

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.tests.builds import TABLES
from dags.tests.events import Event, insert
from dags.tests.faults.trial import BrokenPromiseError
from dags.tests.fold import fold, stored
from dags.tests.world import World, ago, noon

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dags.tests.faults.server import Server

ROLES = ("sensor", "schedule", "daily", "person")
TEAMS = (1, 2, 3)
DAYS = (ago(1), ago(2))

# Builds of one table's day, by run: when each held the lease.
_BUILDS = """
SELECT table_name, day, run_id, min(started_at), max(finished_at), countIf(outcome = 'built')
FROM web_pre_aggregated_builds
WHERE run_id != '' AND outcome != 'skipped'
GROUP BY table_name, day, run_id
ORDER BY table_name, day, min(started_at)
"""


def rounds(server: Server, count: int) -> Iterator[str]:
    """So many rounds; says of each how many builds there were.

    Raises:
        BrokenPromiseError: two built one table's day at once, or a day was forgotten.
    """
    with (
        _racers(server) as racers,
        mock.patch.dict(os.environ, {"CLICKHOUSE_DSN": server.dsn()}),
        open_client(Dsn.parse(server.dsn()), wait_seconds=30) as client,
    ):
        for _ in range(count):
            emptied = ("events", "web_pre_aggregated_builds", "web_pre_aggregated_day_states", *TABLES)
            for table in emptied:
                client.command(f"TRUNCATE TABLE {table} SYNC")
            events = [Event(team, noon(day), f"s-{day}") for team in TEAMS for day in DAYS]
            insert(client, events)
            for racer in racers:
                _tell(racer, "go")
            answers = [_hear(racer) for racer in racers]
            builds = client.query(_BUILDS).result_rows
            for (*unit, run, _, ended, _), (*next_unit, next_run, began, _, _) in itertools.pairwise(builds):
                if unit == next_unit and began < ended:
                    raise BrokenPromiseError(f"{run} and {next_run} built {unit} at once: {answers}")
            for day in DAYS:
                for table in TABLES:
                    if stored(client, table, day) != fold(events, day, table):
                        raise BrokenPromiseError(f"{table} of {day} was forgotten: {answers}")
            yield f"{len(builds)} builds of {len(TABLES) * len(DAYS)} (table, day); {', '.join(answers)}"


@contextmanager
def _racers(server: Server) -> Iterator[list[subprocess.Popen[str]]]:
    with open_client(Dsn.parse(server.dsn()), wait_seconds=30) as client:
        for table in ("web_analytics_enabled_teams", "web_pre_aggregated_teams"):
            client.command(f"TRUNCATE TABLE {table}")
        client.insert("web_analytics_enabled_teams", [[team] for team in TEAMS], column_names=["team_id"])
    environment = {
        **os.environ,
        "CLICKHOUSE_DSN": server.dsn(),
        "WEB_ANALYTICS_BACKFILL_SETTLE_HOURS": "0",
        "WEB_ANALYTICS_BACKFILL_MAX_DAYS_PER_DAY": "3650",
    }
    with ExitStack() as stack:
        started = []
        for role in ROLES:
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"faults-{role}-"))
            racer = subprocess.Popen(
                [sys.executable, "-m", "dags.tests.faults.races", role],
                env={**environment, "DAGSTER_HOME": home},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            stack.enter_context(racer)
            stack.callback(racer.kill)
            started.append(racer)
        for racer in started:
            _hear(racer)
        yield started


def _tell(racer: subprocess.Popen[str], word: str) -> None:
    assert racer.stdin is not None
    racer.stdin.write(f"{word}\n")
    racer.stdin.flush()


def _hear(racer: subprocess.Popen[str]) -> str:
    assert racer.stdout is not None
    last: deque[str] = deque(maxlen=30)
    for line in racer.stdout:
        if line.startswith("RACER "):
            return line.removeprefix("RACER ").strip()
        last.append(line)
    raise BrokenPromiseError(f"a racer ended with {racer.wait()}:\n{''.join(last)}")


def race(role: str) -> None:
    """A racer: at each word do what its role does, and say what became of it."""
    from dagster import DagsterInstance  # noqa: PLC0415 -- the child's

    from dags.tests.world import schedule_tick  # noqa: PLC0415

    instance = DagsterInstance.ephemeral()
    with open_client(Dsn.parse(os.environ["CLICKHOUSE_DSN"]), wait_seconds=30) as client:
        world = World(client, instance, mock.Mock())
        world.loop.run("web_analytics_team_selection_job")
        print("RACER ready", flush=True)
        dice = random.Random(role)
        for _ in sys.stdin:
            # A tick thinks before its runs begin, so that whoever just builds would always be first.
            time.sleep(dice.choice((0.0, 0.3, 0.6, 0.9)) if role in ("daily", "person") else 0.0)
            for run in instance.get_runs():
                instance.delete_run(run.run_id)
            if role in ("sensor", "schedule"):
                asked = world.tick() if role == "sensor" else schedule_tick(instance)
                world.carry_out(asked)
                shown = f"{role} asked for {len(asked.requests)}"
            else:
                days = DAYS if role == "daily" else DAYS[1:]
                for day in days:
                    config = {"ops": {"web_pre_aggregated": {"config": {"team_ids": [1, 2]}}}}
                    options = {} if role == "daily" else {"run_config": config}
                    world.loop.run("web_pre_aggregate_job", partition_key=str(day), **options)
                shown = f"{role} built {len(days)}"
            print(f"RACER {shown}", flush=True)


if __name__ == "__main__":
    race(sys.argv[1])
