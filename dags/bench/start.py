"""How long a request waits until it is at work: webserver, daemon and a warm code server, as a deployment has them.

Against an empty job of the same location, launched in turns: what that takes is Dagster's, which starts a process for
each run.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dags.bench.figures import Spread, paragraph, table, verdict
from dags.bench.loading import PIPELINE, TABLE
from dags.bench.postgres import made
from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.sql import Sql
from dags.tests.deployment import ROOT, Deployment, launched, until
from dags.tests.postgres_server import PostgresError, postgres_binaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dags.bench.postgres import Bench

ROWS = 20_000
ROUNDS, QUICK_ROUNDS = 5, 1
WAIT_SECONDS = 120

# S8: a request starts within about so many seconds.
TARGET_SECONDS = 5.0

LOCATION, EMPTY_JOB = "dags.bench.empty_job", "empty_job"
LAUNCH = """mutation Launch($job: String!, $config: RunConfigData) { launchRun(executionParams: {
  selector: { repositoryLocationName: "dags.bench.empty_job", repositoryName: "__repository__", jobName: $job }
  runConfigData: $config }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
RUN = "query Run($run: ID!) { runOrError(runId: $run) { ... on Run { status startTime } } }"
LOADED = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"


@dataclass(frozen=True)
class Begun:
    """Seconds from the launch to the start in Dagster, in the log of all work, and of the first batch."""

    run: float
    work: float = 0.0
    batch: float = 0.0


def start(*, quick: bool, progress: Callable[[str], None]) -> Iterator[str]:
    """Yield the text of the figures."""
    try:
        postgres_binaries()
    except PostgresError as error:
        yield f"start: left out, {error}"
        return
    with tempfile.TemporaryDirectory() as name, made(Path(name), ROWS, progress) as bench:
        home = Path(name) / "deployment"
        home.mkdir()
        own = {key: value for key, value in bench.variables.items() if key.startswith(("WEB_", "BENCH_"))}
        instance = (ROOT / ".dagster" / "dagster.yaml").read_text(encoding="utf-8")
        deployment = Deployment(home, bench.variables["CLICKHOUSE_DSN"], instance, **own)
        try:
            deployment.start_webserver("-m", LOCATION)
            until(lambda: _loaded(deployment), WAIT_SECONDS, "the location is not loaded")
            deployment.start("dagster._daemon", "run", "-m", LOCATION)
            ours, empty = list[Begun](), list[Begun]()
            for number in range((QUICK_ROUNDS if quick else ROUNDS) + 1):
                found = _backfill(deployment, bench), _launched(deployment, EMPTY_JOB, {})[0]
                if number:  # the first of each waits for the daemon, and compiles modules
                    ours.append(found[0])
                    empty.append(found[1])
                    progress(f"at work after {found[0].work:.1f} s; an empty job after {found[1].run:.1f} s")
        finally:
            deployment.stop()
    yield _text(ours, empty)


def _loaded(deployment: Deployment) -> bool:
    entries = deployment.ask(LOADED)["workspaceOrError"].get("locationEntries", [])
    return any((entry["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation" for entry in entries)


def _launched(deployment: Deployment, job: str, config: dict[str, Any]) -> tuple[Begun, float]:
    """A run from its launch to its end: when it began, and when it was launched."""
    at = time.time()
    run = launched(deployment.ask(LAUNCH, job=job, config=config))
    found: dict[str, Any] = {}

    def is_over() -> bool:
        found.update(deployment.ask(RUN, run=run)["runOrError"])
        return found["status"] in ("SUCCESS", "FAILURE", "CANCELED")

    until(is_over, WAIT_SECONDS, f"{job} has not ended", pause=0.2)
    if found["status"] != "SUCCESS":
        raise RuntimeError(f"{job} is {found['status']}")
    return Begun(found["startTime"] - at), at


def _backfill(deployment: Deployment, bench: Bench) -> Begun:
    bench.client.command("TRUNCATE TABLE events SYNC")
    asked = {
        "pipeline": PIPELINE, "table_name": TABLE, "dry_run": False, "requested_by": "bench", "reason": "a benchmark",
    }  # fmt: skip
    since = read_clocks(bench.client).server
    begun, at = _launched(deployment, "postgres_backfill_job", asked)
    bench.client.command("SYSTEM FLUSH LOGS query_log")
    moments = Sql("dags.bench", bench.client).row("began", {"since": since})
    launched_at = datetime.fromtimestamp(at, UTC)
    work, batch = ((moment - launched_at).total_seconds() for moment in moments)
    return Begun(begun.run, work, batch)


def _text(ours: list[Begun], empty: list[Begun]) -> str:
    run, work, batch = (Spread(tuple(getattr(one, name) for one in ours)) for name in ("run", "work", "batch"))
    peer = Spread(tuple(one.run for one in empty))
    return "\n".join(
        [
            "start: from a launch over GraphQL, the code server warm",
            "",
            table(
                ["until", "seconds (min–max)"],  # noqa: RUF001 -- a range
                [
                    ["an empty job's run begins", peer.seconds],
                    ["a backfill's run begins", run.seconds],
                    ["its request is EXECUTING", work.seconds],
                    ["its first batch lands", batch.seconds],
                ],
            ),
            "",
            paragraph(
                f"""EXECUTING is {work.over(peer).times} the empty job's begin. Dagster's daemon looks at the queue
                every second, and starts a process for each run, which loads the location. What is between the run and
                the request is the plan, asked of PostgreSQL and ClickHouse."""
            ),
            "  "
            + verdict(
                f"about {TARGET_SECONDS} s",
                f"EXECUTING after {work.seconds}",
                is_met=work.median <= TARGET_SECONDS,
            ),
        ]
    )
