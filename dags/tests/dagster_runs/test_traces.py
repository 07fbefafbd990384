"""From a tick to its runs, from a run to its statements on a server, and back; and the lines that have the ids."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from dagster import AssetKey, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter, build_sensor_context
from hypothesis import given
from hypothesis import strategies as st

from dags.dagster_runs.lines import line
from dags.dagster_runs.tags import PLAN_TAG
from dags.dagster_runs.traces import asked_line, tick_of
from dags.definitions import defs
from dags.tests.deployment import ROOT, Deployment, until
from dags.tests.world import BOUNCES, STATS, ago, new_world

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

SENSOR = "web_analytics_backfill_sensor"


def parsed(text: str) -> dict[str, str]:
    """What logfmt takes a line for."""
    pairs = re.findall(r'(?:^| )(\w+)=("(?:[^"\\]|\\.)*"|[^" ]*)', text)
    return {name: json.loads(value) if value.startswith('"') else value for name, value in pairs}


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), st.text(min_size=1), max_size=5))
def test_a_line_is_one_line_whatever_is_said_and_reads_back(facts: dict[str, str]) -> None:
    text = line(**facts)
    assert "\n" not in text
    assert "\r" not in text
    assert parsed(text) == facts


def test_what_is_not_said_has_no_place_and_nought_has() -> None:
    assert line(decision="skip", tick=None, plan="", days=[], missing=0, keys=["a/1", "b"]) == (
        "decision=skip missing=0 keys=a/1,b"
    )


def test_a_run_says_which_tick_of_what_asked_for_it_or_which_person_and_nothing_of_its_configuration() -> None:
    tags = {
        "dagster/tick": "12",
        "dagster/sensor_name": SENSOR,
        "dagster/run_key": "job/2026-01-02/after-first/attempt-0",
        "dagster/partition": "2026-01-02",
        PLAN_TAG: "sensor-20260103T060000",
        "web_analytics_backfill/attempt": "0",
        "web_analytics_backfill/reasons": "never built: 2",
    }
    config = {"ops": {"an_op": {"config": {"password": "hidden"}}}}
    assert asked_line(DagsterRun("web_pre_aggregate_job", "1f2e", config, tags=tags)) == (
        "run=1f2e job=web_pre_aggregate_job partition=2026-01-02 by=web_analytics_backfill_sensor tick=12 "
        "run_key=job/2026-01-02/after-first/attempt-0 plan=sensor-20260103T060000 attempt=0"
    )
    person = {"web_analytics_backfill/requested_by": "ada\nb", "dagster/parent_run_id": "0a0b"}
    assert asked_line(DagsterRun("a_job", "2b", tags=person)) == 'run=2b job=a_job again=0a0b requested_by="ada\\nb"'


def test_a_preview_of_a_tick_that_no_daemon_makes_is_a_tick_all_the_same() -> None:
    assert tick_of(build_sensor_context()) == "tick"


def marked(client: Client) -> Counter[str]:
    """How many statements each mark is on, of those that were made by the project's files or by its connections."""
    client.command("SYSTEM FLUSH LOGS query_log")
    rows = client.query(
        "SELECT log_comment, count() FROM system.query_log WHERE type = 'QueryStart' AND is_initial_query "
        "AND log_comment != 'watching' AND current_database != 'system' GROUP BY ALL"
    ).result_rows
    return Counter({str(mark): int(count) for mark, count in rows})


def test_every_statement_of_a_tick_and_of_a_run_is_found_by_it_and_leads_back_to_it(
    server: tuple[str, Client], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    dsn, watching = server
    watching.set_client_setting("log_comment", "watching")
    with new_world(dsn, monkeypatch) as world:
        world.client.set_client_setting("log_comment", "watching")
        world.set(backfill_min_missing_partitions=1)
        day = ago(3)
        world.select(1)
        world.traffic([1], [day])
        before = marked(watching)
        sensor = defs.resolve_sensor_def(SENSOR)
        with build_sensor_context(
            instance=world.instance, definitions=defs, sensor_name=SENSOR, resources=defs.resources or {}
        ) as context:
            context._log_key = ["__repository__", SENSOR, "12"]  # as the daemon names its ticks
            requests = sensor.evaluate_tick(context).run_requests or []
        of_tick = marked(watching) - before
        assert set(of_tick) == {f"tick 12 of {SENSOR}"}
        [request] = requests
        [decided] = [one for one in capfd.readouterr().err.splitlines() if "decision=" in one]
        told = parsed(decided.partition("decision=")[1] + decided.partition("decision=")[2])
        assert {name: told[name] for name in ("decision", "by", "tick", "plan", "days", "run_keys")} == {
            "decision": "launch",
            "by": SENSOR,
            "tick": "12",
            "plan": request.tags[PLAN_TAG],
            "days": str(day),
            "run_keys": request.run_key,
        }
        before = marked(watching)
        run = launched(world.instance, request, tick_id="12")
        of_run = marked(watching) - before
        assert set(of_run) == {run.run_id}
        assert of_run[run.run_id] > 20
        # From a statement to its run, from that to its tick, and back.
        [statement_of] = set(of_run)
        found = world.instance.get_run_by_id(statement_of)
        assert found is not None
        assert found.tags["dagster/tick"] == "12"
        assert [one.run_id for one in world.instance.get_runs(RunsFilter(tags={"dagster/tick": "12"}))] == [run.run_id]
        said = [entry.user_message for entry in world.instance.all_logs(run.run_id) if "run=" in entry.user_message]
        assert [parsed(words) for words in said if words.startswith("run=")] == [
            {
                "run": run.run_id,
                "job": "web_pre_aggregate_job",
                "partition": str(day),
                "by": SENSOR,
                "tick": "12",
                "trigger": "sensor",
                "plan": request.tags[PLAN_TAG],
                "attempt": "0",
            }
        ]


@pytest.mark.slow(minutes=1)
def test_a_tick_of_the_daemon_its_run_and_their_statements_have_each_others_ids(
    server: tuple[str, Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn, watching = server
    watching.set_client_setting("log_comment", "watching")
    with new_world(dsn, monkeypatch) as world:
        world.select(1)
        world.traffic([1], [ago(3)])
    shipped = (ROOT / ".dagster" / "dagster.yaml").read_text(encoding="utf-8")
    deployment = Deployment(tmp_path, dsn, shipped, WEB_ANALYTICS_BACKFILL_MIN_MISSING_PARTITIONS="1")
    of_sensor = RunsFilter(tags={"dagster/sensor_name": SENSOR}, statuses=[DagsterRunStatus.SUCCESS])
    try:
        deployment.start("dagster._daemon", "run", "-m", "dags.definitions")
        with DagsterInstance.from_config(str(tmp_path)) as instance:
            until(lambda: instance.get_runs(of_sensor), 240, "the sensor's run has not succeeded")
            [run] = instance.get_runs(of_sensor)
            tick = run.tags["dagster/tick"]
            marks = marked(watching)
            assert marks[run.run_id] > 20
            assert marks[f"tick {tick} of {SENSOR}"] > 5
            kept = instance.compute_log_manager.get_log_data(["__repository__", SENSOR, tick]).stderr or b""
            [told] = [parsed(json.loads(record)["msg"]) for record in kept.decode().splitlines()]
            assert {name: told[name] for name in ("decision", "by", "tick", "days", "run_keys")} == {
                "decision": "launch",
                "by": SENSOR,
                "tick": tick,
                "days": str(ago(3)),
                "run_keys": run.tags["dagster/run_key"],
            }
            said = [entry.user_message for entry in instance.all_logs(run.run_id)]
            [asked] = [parsed(words) for words in said if words.startswith("run=")]
            assert (asked["run"], asked["by"], asked["tick"]) == (run.run_id, SENSOR, tick)
        # A tick that has nothing to say leaves no file.
        assert [path.name for path in (tmp_path / "storage" / "__repository__").iterdir()] == [SENSOR]
    finally:
        print(deployment.last_words())
        deployment.stop()


def launched(instance: Any, request: Any, tick_id: str) -> DagsterRun:
    """The run that the daemon makes of a request, with the tags that it adds."""
    assert set(request.asset_selection) == {AssetKey(STATS), AssetKey(BOUNCES)}
    job = defs.resolve_job_def(request.job_name)
    ran = job.execute_in_process(
        instance=instance,
        partition_key=request.partition_key,
        asset_selection=list(request.asset_selection),
        tags={**request.tags, "dagster/tick": tick_id, "dagster/sensor_name": SENSOR},
        run_config=request.run_config,
    )
    assert ran.success
    return ran.dagster_run
