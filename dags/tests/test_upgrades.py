"""A database of an earlier release is brought forward while that release's own processes are at work in it.

The earlier code is taken out of git's history; a copy without it, as a shallow clone is, skips these tests.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema, require_schema
from dags.domain.errors import SchemaError
from dags.tests.builds import TABLES, build
from dags.tests.clickhouse_server import require_or_skip_reason, running_server
from dags.tests.deployment import ROOT
from dags.tests.events import Event, insert
from dags.tests.fold import fold, stored
from dags.tests.world import ago, noon
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

# The last commit of each, before the next release's first.
RELEASES = {
    "0.10.0": "1fb1f60~1",
    "0.11.0": "2d3cde5~1",
    "0.12.0": "fa8d7eb~1",
    "0.13.0": "460b4a6~1",
    "0.14.0": "4f136cc~1",
    "0.15.0": "2477075~1",
}

JOB = """
import sys, json
from dagster import DagsterInstance
from dags.definitions import defs
name, key, given = sys.argv[1:]
with DagsterInstance.ephemeral() as instance:
    ran = defs.resolve_job_def(name).execute_in_process(
        instance=instance, run_config=json.loads(given), raise_on_error=False, **({"partition_key": key} if key else {})
    )
    print("ENDED", ran.success, *(str(event.step_failure_data.error) for event in ran.get_step_failure_events()))
"""

TOO_OLD = "deploy the code that made it, or a newer one"

# What a process is stopped at: it has made what it will swap in, and swapped nothing.
STAGING = "web_pre_aggregated_staging%"
STAGED = f"SELECT count() FROM system.tables WHERE database = currentDatabase() AND name LIKE '{STAGING}'"


class Earlier:
    """The code of an earlier release, and its processes."""

    def __init__(self, directory: Path, release: str, dsn: str) -> None:
        packed = subprocess.run(
            ["git", "archive", RELEASES[release], "dags"], cwd=ROOT, capture_output=True, check=False
        )
        if packed.returncode:
            pytest.skip(f"git's history has no {RELEASES[release]} here: {packed.stderr.decode().strip()}")
        subprocess.run(["tar", "-x", "-C", str(directory)], input=packed.stdout, check=True)
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("WEB_", "DAGSTER_"))}
        own = {"CLICKHOUSE_DSN": dsn, "WEB_ANALYTICS_ENABLED_TEAM_IDS": "1,2", "PYTHONPATH": str(directory)}
        self._directory, self._environment = directory, {**kept, **own}

    def begin(self, job: str, key: str = "", given: str = "{}") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", JOB, job, key, given],
            cwd=self._directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, job: str, key: str = "", given: str = "{}") -> str:
        return ended(self.begin(job, key, given))


def ended(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=120)
    return said


def is_whole(client: Client, events: list[Event], *days: date) -> bool:
    return all(stored(client, table, day) == fold(events, day, table) for day in days for table in TABLES)


@pytest.fixture(params=RELEASES)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Earlier, Client]]:
    if reason := require_or_skip_reason():
        pytest.skip(reason)
    with running_server(tmp_path / "server") as server:
        dsn = server.dsn("web_analytics")
        (tmp_path / "code").mkdir()
        code = Earlier(tmp_path / "code", request.param, dsn)
        assert "ENDED True" in code.run("apply_schema_job")
        with open_client(Dsn.parse(dsn), wait_seconds=10) as client:
            yield code, client


@pytest.mark.slow(minutes=1)
def test_a_build_of_an_earlier_release_goes_on_across_the_upgrade_and_nothing_is_lost_or_doubled(
    earlier: tuple[Earlier, Client],
) -> None:
    code, client = earlier
    built, stalled, killed, later = (ago(back) for back in (2, 3, 4, 5))
    events = [
        Event(team, noon(day, minute), f"{team}-{day}", pathname=f"/{minute}")
        for team in (1, 2) for day in (built, stalled, killed, later) for minute in range(3)
    ]  # fmt: skip
    insert(client, events)
    assert "ENDED True" in code.run("web_analytics_team_selection_job")
    assert "ENDED True" in code.run("web_pre_aggregate_job", str(built))
    assert is_whole(client, events, built)

    going, dying = (at_work(code, client, day) for day in (stalled, killed))
    with pytest.raises(SchemaError, match=r"has schema version \d+, this code needs \d+"):
        require_schema(client)
    assert apply_schema(client, WEB_TABLES)
    require_schema(client)
    going.send_signal(signal.SIGCONT)
    said = ended(going)
    dying.kill()
    dying.communicate()
    # It publishes what it has begun, and records it. Then its check asks anew, and says that it is too old.
    assert all(f"Materialized value {table}" in said for table in TABLES), said
    assert "STEP_FAILURE" not in said.partition("web_pre_aggregated_complete - STEP_START")[0]
    assert TOO_OLD in said
    assert is_whole(client, events, built, stalled)
    assert not any(stored(client, table, killed) for table in TABLES)

    # What begins afterwards says that it is too old, and touches nothing.
    for refused in (code.run("web_pre_aggregate_job", str(later)), code.run("check_missing_data_job")):
        assert "ENDED False" in refused
        assert TOO_OLD in refused
    assert not any(stored(client, table, later) for table in TABLES)

    # This code takes the dead one's lease once it has been silent for a minute.
    for day in (killed, later):
        assert build(client, 1, 2, day=day, run_id="next", wait_seconds=150, sleep=time.sleep).problems == ()
    assert is_whole(client, events, built, stalled, killed, later)
    assert client.query(STAGED).result_rows == [(0,)]
    rows = client.query("SELECT team_id, toDate(timestamp), count() FROM events GROUP BY ALL").result_rows
    assert {row[-1] for row in rows} == {3}


def at_work(code: Earlier, client: Client, day: date) -> subprocess.Popen[str]:
    """A build of that code that is stopped in the middle, as by a machine that is busy."""
    before = client.query(STAGED).result_rows
    process = code.begin("web_pre_aggregate_job", str(day))
    deadline = time.monotonic() + 60
    while client.query(STAGED).result_rows == before:
        assert process.poll() is None, ended(process)
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGSTOP)
    return process
