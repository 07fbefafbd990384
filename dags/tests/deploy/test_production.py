"""The services of docker-compose.yml, from its own files, on real servers: PostgreSQL as storage, queue, proxy."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import psycopg
import pytest

from dags.clickhouse.leases.store import Leases
from dags.tests.deploy.production import POSTGRES_PASSWORD, UI_PASSWORD, Production, nginx
from dags.tests.deployment import launched, until
from dags.tests.events import Event, insert
from dags.tests.fold import fold, stored
from dags.tests.postgres_server import PostgresServer, running_postgres
from dags.tests.world import BOUNCES, STATS, ago, noon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from clickhouse_connect.driver.client import Client

pytestmark = [
    pytest.mark.slow(minutes=4),
    pytest.mark.skipif(nginx() is None, reason="no nginx: apt-get install nginx-light"),
]

LAUNCH = """mutation Launch($job: String!, $tags: [ExecutionTag!]!) { launchRun(executionParams: {
  selector: { repositoryLocationName: "dags.definitions", repositoryName: "__repository__", jobName: $job }
  executionMetadata: { tags: $tags } }) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
RUNS = """query Runs($job: String!) { runsOrError(filter: { pipelineName: $job }) { ... on Runs {
  results { runId status tags { key value } } } } }"""

# A dozen days that are built at once; one whose run dies; one whose code server is asked to end meanwhile.
DAYS, KILLED, WAITED_FOR = [ago(n) for n in range(3, 15)], ago(20), ago(21)


@pytest.fixture
def production(tmp_path: Path, server: tuple[str, Client]) -> Iterator[tuple[Production, PostgresServer]]:
    with running_postgres(tmp_path / "postgres") as postgres:
        # The planner launches nothing by itself: what is there is launched below.
        own = {"WEB_ANALYTICS_BACKFILL_MIN_MISSING_PARTITIONS": "10000", "WEB_ANALYTICS_ENABLED_TEAM_IDS": "1"}
        opened = Production(tmp_path, server[0], postgres, **own)
        yield opened, postgres
        opened.stop()
        print(opened.last_words())


def launch(production: Production, day: date) -> str:
    tags = [{"key": "dagster/partition", "value": str(day)}]
    return launched(production.ask(LAUNCH, job="web_pre_aggregate_job", tags=tags))


def runs(production: Production, job: str = "web_pre_aggregate_job") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = production.ask(RUNS, job=job)["runsOrError"]["results"]
    return found


def statuses(production: Production) -> dict[str, str]:
    return {run["runId"]: run["status"] for run in runs(production)}


def are_over(found: list[dict[str, Any]]) -> bool:
    return bool(found) and {run["status"] for run in found} <= {"SUCCESS", "FAILURE", "CANCELED"}


def run_process(code_server: int, run_id: str) -> psutil.Process:
    """The process of a run below its code server, which Linux shows with the files that it holds."""
    [process] = [
        child
        for child in psutil.Process(code_server).children(recursive=True)
        if any(Path(held.path).name == run_id for held in child.open_files())
    ]
    return process


def code(production: Production, path: str, method: str = "GET", **headers: str) -> int:
    """What the proxy answers to who gives no password."""
    url = f"http://127.0.0.1:{production.proxy_port}{path}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urlopen(Request(url, method=method, headers=named), timeout=30) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_what_ships_builds_a_dozen_days_survives_a_death_and_a_restart_and_shows_no_password(
    production: tuple[Production, PostgresServer], server: tuple[str, Client]
) -> None:
    deployment, postgres = production
    client = server[1]
    events = [Event(1, noon(day), f"s{day}") for day in [*DAYS, KILLED, WAITED_FOR]]
    assert deployment.begin("apply-schema").wait(120) == 0
    insert(client, events)
    code_server = deployment.begin("code-location")
    assert not deployment.is_healthy("code-location")
    until(lambda: deployment.is_healthy("code-location"), 60, "the code server is not healthy")
    processes = [deployment.begin("webserver"), deployment.begin("daemon"), deployment.start_proxy()]
    for service in ("webserver", "daemon"):
        until(lambda service=service: deployment.is_healthy(service), 120, f"the {service} is not healthy")  # type: ignore[misc]

    assert [code(deployment, "/healthz"), code(deployment, "/"), code(deployment, "/graphql", "POST")] == [
        204,
        401,
        401,
    ]
    assert code(deployment, "/graphql", "POST", Sec_Fetch_Site="cross-site") == 403
    assert code(deployment, "/graphql", Sec_Fetch_Site="same-site", Upgrade="websocket") == 403
    assert code(deployment, "/runs", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate") == 401

    select = "web_analytics_team_selection_job"
    launched(deployment.ask(LAUNCH, job=select, tags=[]))
    until(lambda: are_over(runs(deployment, select)), 120, "the list of teams")
    dozen = [launch(deployment, day) for day in DAYS]
    took = until(lambda: are_over(runs(deployment)), 240, "a dozen builds")
    print(f"twelve builds took {took:.0f} s")
    assert statuses(deployment) == dict.fromkeys(dozen, "SUCCESS")
    assert [stored(client, STATS, day) for day in DAYS] == [fold(events, day, STATS) for day in DAYS]

    with Leases(client, "the-test", wait_seconds=0, tell=print) as leases:
        for table in (STATS, BOUNCES):
            leases.take(table, KILLED)
        victim = launch(deployment, KILLED)
        until(lambda: statuses(deployment)[victim] == "STARTED", 60, "the run that is to be killed")
        until(lambda: run_process(code_server.pid, victim), 30, "its lock")
        run_process(code_server.pid, victim).kill()
        until(lambda: statuses(deployment)[victim] == "FAILURE", 120, "the dead run is not ended")
    until(lambda: stored(client, STATS, KILLED) == fold(events, KILLED, STATS) != {}, 120, "no second start")
    parent = {"key": "dagster/parent_run_id", "value": victim}
    [again] = [run["runId"] for run in runs(deployment) if parent in run["tags"]]
    until(lambda: statuses(deployment)[again] == "SUCCESS", 60, "its second start succeeds")

    with Leases(client, "the-test", wait_seconds=0, tell=print) as leases:
        for table in (STATS, BOUNCES):
            leases.take(table, WAITED_FOR)
        waited_for = launch(deployment, WAITED_FOR)
        until(lambda: statuses(deployment)[waited_for] == "STARTED", 60, "the run that is waited for")
        until(lambda: run_process(code_server.pid, waited_for), 30, "its lock")
        code_server.send_signal(signal.SIGTERM)
        assert not _wait(code_server, 20)
    assert _wait(code_server, 120)
    assert statuses(deployment)[waited_for] == "SUCCESS"
    assert stored(client, STATS, WAITED_FOR) == fold(events, WAITED_FOR, STATS) != {}

    everybody = [psutil.Process(process.pid) for process in processes]
    seen = [str(process.cmdline()) + str(process.environ()) for process in everybody]
    seen += [deployment.last_words(), *_tables(postgres)]
    assert len(seen) > 20
    assert sum(len(text) for text in seen) > 100_000
    assert not [secret for secret in (POSTGRES_PASSWORD, UI_PASSWORD) for text in seen if secret in text]


def _tables(postgres: PostgresServer) -> list[str]:
    """Everything that Dagster keeps, a text a table."""
    with psycopg.connect(postgres.dsn("dagster")) as connection:
        named = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return [str(connection.execute(f'SELECT * FROM "{name}"'.encode()).fetchall()) for (name,) in named]


def _wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it has ended by then."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
