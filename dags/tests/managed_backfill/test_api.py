"""Managed backfills through a running webserver, by the requests that are documented, and killed for real."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from dags.dagster_runs.tags import TAG_PREFIX
from dags.domain.shards import SHARD_TAG
from dags.managed_backfill.plan import Extent
from dags.tests.builds import build
from dags.tests.deployment import Deployment, launched, until
from dags.tests.events import Event, insert
from dags.tests.fold import fold, stored
from dags.tests.world import STATS, ago, noon
from dags.work.audit.store import read_works

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.slow(minutes=2)

API = Path(__file__).parents[2] / "managed_backfill" / "api"
DAYS = [ago(n) for n in range(30, 0, -1)]
SPAN = {"start_date": str(DAYS[0]), "end_date": str(DAYS[-1])}
WHO = {"requested_by": "ada", "reason": "a bug"}
OVER = {"SUCCESS", "FAILURE", "CANCELED"}

# Runs start at once: without a daemon nobody takes them out of the queue.
INSTANCE = """
telemetry: {enabled: false}
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
"""


class Webserver(Deployment):
    """A webserver, asked by the requests that are documented."""

    def __init__(self, home: Path, dsn: str) -> None:
        super().__init__(home, dsn, INSTANCE, WEB_ANALYTICS_ENABLED_TEAM_IDS="1,2")
        self.process = self.start_webserver("-m", "dags.definitions")
        until(lambda: self.ask("query { version }"), 120, "the webserver does not answer")

    def request(self, name: str, **variables: Any) -> Any:
        """Ask what a file of the documented API says."""
        return self.ask((API / f"{name}.graphql").read_text(), **variables)

    def launch(self, job: str, **config: Any) -> str:
        return launched(self.request("launch", jobName=job, config=config))

    def get(self, run_id: str) -> Any:
        return self.request("get", runId=run_id)

    def tag(self, run_id: str, name: str) -> str:
        tags = {tag["key"]: tag["value"] for tag in self.get(run_id)["runOrError"]["tags"]}
        return str(tags.get(TAG_PREFIX + name, ""))

    def status(self, run_id: str) -> str:
        return str(self.get(run_id)["runOrError"]["status"])

    def until_over(self, run_id: str) -> str:
        until(lambda: self.status(run_id) in OVER, 240, f"{run_id} is not over", pause=0.5)
        return self.status(run_id)

    def until_percent(self, run_id: str, percent: int) -> None:
        until(lambda: int(self.tag(run_id, "percent") or 0) >= percent, 240, f"{run_id} gets nowhere", pause=0.2)

    def kill_run(self) -> None:
        """A kill -9 of whatever the code server has started to carry runs out."""
        [code_server] = [
            process
            for process in psutil.Process(self.process.pid).children(recursive=True)
            if "code-server" in process.cmdline() or "grpc" in process.cmdline()
        ]
        workers = code_server.children(recursive=True)
        assert workers
        for worker in workers:
            worker.kill()
        psutil.wait_procs(workers, timeout=30)


@pytest.fixture
def web(tmp_path: Path, server: tuple[str, Client]) -> Iterator[Webserver]:
    webserver = Webserver(tmp_path, server[0])
    yield webserver
    webserver.stop()
    print(webserver.last_words())


LAUNCHPAD = """query Launchpad($job: PipelineSelector!, $wrong: RunConfigData!, $right: RunConfigData!) {
  runConfigSchemaOrError(selector: $job) { ... on RunConfigSchema {
    allConfigTypes { key ... on EnumConfigType { values { value } } } } }
  wrong: isPipelineConfigValid(pipeline: $job, runConfigData: $wrong, mode: "default") {
    ... on RunConfigValidationInvalid { errors { reason } } }
  right: isPipelineConfigValid(pipeline: $job, runConfigData: $right, mode: "default") { __typename }
}"""


def test_a_launch_names_the_shard_that_is_meant_by_a_tag(web: Webserver) -> None:
    tags = [{"key": SHARD_TAG, "value": "2"}]
    run_id = launched(web.request("launch", jobName="list_waivers_job", config={}, tags=tags))
    assert web.tag(run_id, SHARD_TAG.removeprefix(TAG_PREFIX)) == "2"
    assert web.until_over(run_id) == "SUCCESS"


def test_the_launchpad_completes_what_people_write_and_marks_what_is_wrong_before_a_launch(web: Webserver) -> None:
    job = {"pipelineName": "managed_backfill_job"}
    location = {"repositoryName": "__repository__", "repositoryLocationName": "dags.definitions"}
    wrong, right = "{kind: all, chunk_size: 3}", "{kind: gap_filling, chunk_by: week}"
    seen = web.ask(LAUNCHPAD, job={**job, **location}, wrong=wrong, right=right)
    types = seen["runConfigSchemaOrError"]["allConfigTypes"]
    words = {one["key"]: [value["value"] for value in one["values"]] for one in types if "values" in one}
    assert words["Extent"] == list(Extent)
    assert words["OnGateFailure"] == ["restore", "keep"]
    reasons = sorted(error["reason"] for error in seen["wrong"]["errors"])
    assert reasons == ["FIELD_NOT_DEFINED", "RUNTIME_TYPE_MISMATCH"]
    assert seen["right"]["__typename"] == "PipelineConfigValidationValid"


def test_thirty_days_are_killed_in_the_middle_resumed_cancelled_terminated_and_deleted_over_the_api(
    web: Webserver, server: tuple[str, Client]
) -> None:
    _, client = server
    events = [Event(team, noon(day, n), f"s{day}") for team in (1, 2) for day in DAYS for n in range(2)]
    insert(client, events)
    assert web.until_over(web.launch("web_analytics_team_selection_job")) == "SUCCESS"
    build(client, 1, 2, day=DAYS[0])

    def is_whole() -> bool:
        return all(stored(client, STATS, day) == fold(events, day, STATS) != {} for day in DAYS)

    # Create; killed without a word, like a machine that is gone; get; resume what is left, and only that.
    request = {**SPAN, **WHO, "target_table": STATS, "chunk_size_days": 2, "dry_run": False}
    created = web.launch("managed_backfill_job", **request)
    web.until_percent(created, 30)
    web.kill_run()
    backfill_id = web.tag(created, "backfill")
    [killed] = read_works(client)
    assert (killed.work_id, killed.status) == (backfill_id, "running")
    assert not is_whole()
    built = {row[0] for row in client.query("SELECT DISTINCT day FROM web_pre_aggregated_builds").result_rows}
    observed = [event["description"] for event in web.get(created)["logsForRun"]["events"] if "description" in event]
    assert observed[0].startswith(f"{backfill_id}: chunk 1 of 15")
    deadline = time.monotonic() + 120  # its lease is its own until it has been silent for a minute
    while web.until_over(resumed := web.launch("resume_backfill_job", backfill_id=backfill_id, **WHO)) != "SUCCESS":
        assert time.monotonic() < deadline, web.get(resumed)
        time.sleep(5)
    assert is_whole()
    runs = client.query("SELECT day, uniqExact(run_id) FROM web_pre_aggregated_builds GROUP BY day").result_rows
    assert sum(count > 1 for day, count in runs if day in built and day != DAYS[0]) <= 1
    materialized = web.get(created)["runOrError"]["assetMaterializations"]
    assert {str(DAYS[0])} < {one["partition"] for one in materialized}
    assert {one["assetKey"]["path"][0] for one in materialized} == {STATS}

    # Cancelled by the documented way: its chunk finishes, and the run is a success that says so.
    second = web.launch("managed_backfill_job", **request)
    web.until_percent(second, 5)
    second_id = web.tag(second, "backfill")
    assert web.until_over(web.launch("cancel_backfill_job", backfill_id=second_id, **WHO)) == "SUCCESS"
    assert web.until_over(second) == "SUCCESS"
    assert web.tag(second, "status") == "cancelled"

    # Terminated in the UI: a kill, and safe.
    third = web.launch("managed_backfill_job", **request)
    web.until_percent(third, 5)
    third_id = web.tag(third, "backfill")
    assert web.request("terminate", runId=third)["terminateRun"]["__typename"] == "TerminateRunSuccess"
    assert web.until_over(third) == "CANCELED"
    assert is_whole()
    [last] = [row for row in read_works(client) if row.work_id == third_id]
    assert last.status == "interrupted"
    assert web.until_over(web.launch("cancel_backfill_job", backfill_id=third_id, **WHO)) == "SUCCESS"

    # List and delete.
    listed = web.request("list", limit=10)["runsOrError"]["results"]
    assert [run["runId"] for run in listed] == [third, second, created]
    assert web.until_over(web.launch("delete_backfill_job", backfill_id=third_id, **WHO)) == "SUCCESS"
    assert {row.work_id: row.status for row in read_works(client)} == {
        third_id: "deleted", second_id: "cancelled", backfill_id: "completed",
    }  # fmt: skip
    backups = client.query("SELECT name FROM system.tables WHERE startsWith(name, 'web_pre_aggregated_backup_')")
    assert len(backups.result_rows) == 2
