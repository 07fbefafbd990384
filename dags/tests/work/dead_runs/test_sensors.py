"""The sensor on a real instance, with runs that real processes carry out, killed and stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    build_sensor_context,
    in_process_executor,
    job,
)
from dagster._core.events import EngineEventData
from dagster._core.storage.tags import GRPC_INFO_TAG

from dags.dagster_runs.locks import names
from dags.dagster_runs.processes import clock_is_steady, is_gone
from dags.dagster_runs.tags import lock_directory
from dags.definitions import defs
from dags.tests.runbook import symptom
from dags.tests.world import STATS, World, ago
from dags.work.audit.log import AUTOMATIC
from dags.work.dead_runs import sensors
from dags.work.of_runs import RunWork, end_silent, of_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# A run with the real resource, under the name of a job of ours, whose op lasts until it is told to go on.
RUN = """
import sys
from dagster import DagsterInstance, in_process_executor, job, op
from dags.dagster_runs.resource import ClickHouseResource

@op
def wait(context, clickhouse: ClickHouseResource):
    print(context.run_id, flush=True)
    sys.stdin.readline()

@job(executor_def=in_process_executor, resource_defs={"clickhouse": ClickHouseResource()})
def apply_schema_job():
    wait()

with DagsterInstance.local_temp(sys.argv[1]) as instance:
    apply_schema_job.execute_in_process(instance=instance)
"""


@contextmanager
def a_run(home: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A run at work in a process of its own: its id and the process."""
    command = [sys.executable, "-c", RUN, str(home)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        run_id = child.stdout.readline().strip()
        assert run_id, child.stderr
        yield run_id, child
    finally:
        child.kill()
        child.communicate()


def ticked(instance: DagsterInstance) -> str:
    sensor = defs.resolve_sensor_def("web_analytics_dead_runs_sensor")
    with build_sensor_context(
        instance=instance, definitions=defs, sensor_name=sensor.name, resources=defs.resources or {}
    ) as context:
        return sensor.evaluate_tick(context).skip_message or ""


def status(instance: DagsterInstance, run_id: str) -> DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


@pytest.mark.long
def test_runs_whose_process_is_dead_are_ended_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @job(executor_def=in_process_executor)
    def of_somebody_else() -> None: ...

    with ExitStack() as stack:
        instance = stack.enter_context(DagsterInstance.local_temp(str(tmp_path)))
        killed, killed_process = stack.enter_context(a_run(tmp_path))
        canceled, canceled_process = stack.enter_context(a_run(tmp_path))
        stopped, stopped_process = stack.enter_context(a_run(tmp_path))
        # Two of which nothing is known: a run without a lock, and one of a job that this location has not.
        never_held = instance.create_run_for_job(defs.resolve_job_def("apply_schema_job")).run_id
        foreign = instance.create_run_for_job(of_somebody_else).run_id
        for run_id in (never_held, foreign):
            instance.report_dagster_event(DagsterEvent(DagsterEventType.RUN_START.value, "any"), run_id)
        stopped_process.send_signal(signal.SIGSTOP)
        run = instance.get_run_by_id(canceled)
        assert run is not None
        instance.report_run_canceling(run)
        assert ticked(instance) == "no run's process is dead"

        for process in (killed_process, canceled_process):
            process.kill()
            process.wait()
        lock_directory(instance).joinpath(foreign).write_text(lock_directory(instance).joinpath(killed).read_text())
        with monkeypatch.context() as fault:
            fault.setattr(DagsterInstance, "report_run_failed", mock.Mock(side_effect=OSError("database is locked")))
            assert ticked(instance) == f"ended {canceled}: their processes are dead"
        assert ticked(instance) == f"ended {killed}: their processes are dead"
        assert status(instance, killed) is DagsterRunStatus.FAILURE
        assert status(instance, canceled) is DagsterRunStatus.CANCELED
        assert {status(instance, run_id) for run_id in (stopped, never_held, foreign)} == {DagsterRunStatus.STARTED}
        messages = " ".join(entry.message for entry in instance.all_logs(killed))
        assert f"The process {killed_process.pid} on " in messages
        assert symptom("that carried this run out is dead").search(messages)
        assert "goes on with resume_backfill_job" in messages
        assert ticked(instance) == "no run's process is dead"

        # The one that was stopped goes on as if nothing had been.
        stopped_process.send_signal(signal.SIGCONT)
        _, error = stopped_process.communicate("go on\n", timeout=60)
        assert status(instance, stopped) is DagsterRunStatus.SUCCESS, error
        ticked(instance)
        assert names(lock_directory(instance)) == {foreign}


def test_a_run_that_died_before_it_took_its_lock_is_known_by_the_id_of_its_process_on_this_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here: dict[str, object] = {"host": "localhost", "socket": "/tmp/x"}  # noqa: S108
    elsewhere: dict[str, object] = {"host": "code-location", "port": 4000}
    with DagsterInstance.local_temp(str(tmp_path)) as instance:

        def started(pid: int, where: dict[str, object], *, by_the_daemon: bool = True) -> str:
            tags = {GRPC_INFO_TAG: json.dumps(where)}
            run = instance.create_run_for_job(defs.resolve_job_def("apply_schema_job"), tags=tags)
            if by_the_daemon:
                instance.report_dagster_event(DagsterEvent(DagsterEventType.RUN_DEQUEUED.value, "any"), run.run_id)
            instance.report_dagster_event(DagsterEvent(DagsterEventType.RUN_START.value, "any"), run.run_id)
            instance.report_engine_event(f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid))
            return run.run_id

        dead = started(gone.pid, here)
        for pid, where in ((os.getpid(), here), (gone.pid, elsewhere)):
            started(pid, where)
        # A webserver's, in its own container, where somebody has this id.
        started(gone.pid, here, by_the_daemon=False)
        assert ticked(instance) == "no run's process is dead"  # it may be about to take its lock
        monkeypatch.setattr(sensors, "LOCK_SECONDS", 0.0)
        assert ticked(instance) == f"ended {dead}: their processes are dead"


def test_a_process_is_gone_when_its_id_is_nobodys_a_zombies_or_a_younger_processs() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        assert not is_gone(child.pid, time.time(), is_steady=True)
        assert is_gone(child.pid, time.time() - 3600, is_steady=True)  # whoever had the id an hour ago
        child.kill()
        while not is_gone(child.pid, time.time(), is_steady=True):
            time.sleep(0.01)
    finally:
        child.wait()
    assert is_gone(child.pid, time.time(), is_steady=True)
    assert not is_gone(0, 0, is_steady=True)
    assert not is_gone(1, time.time(), is_steady=True)


def test_a_process_that_lives_is_not_gone_when_the_clock_of_its_host_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen from a clock that is eight days ahead, every process looks younger than the run that it carries out."""
    child, since, real = (
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]),
        time.time(),
        time.time,
    )
    try:
        assert clock_is_steady(tmp_path)
        monkeypatch.setattr(time, "time", lambda: real() + 8 * 86_400)
        assert not clock_is_steady(tmp_path)
        assert not is_gone(child.pid, since, is_steady=clock_is_steady(tmp_path))
        monkeypatch.setattr(time, "time", real)
        assert not clock_is_steady(tmp_path)  # set back, it was set all the same
        child.kill()
        while not is_gone(child.pid, since, is_steady=False):
            time.sleep(0.01)
    finally:
        child.wait()
    assert not clock_is_steady(tmp_path / ".no" / "\0")


def test_the_audit_says_of_a_dead_run_of_the_planner_what_that_could_not(world: World) -> None:
    day = str(ago(1))
    for run_id in ("dead-1", "dead-2", "alive"):
        RunWork(world.client, AUTOMATIC, run_id, STATS, day).begin("sensor")
    # It had said how it ended before it died.
    RunWork(world.client, AUTOMATIC, "dead-2", STATS, day).end(7, "")
    end_silent(world.client, dict.fromkeys(["dead-1", "dead-2"], "the run's process died"))
    messages = world.client.query("SELECT backfill_id, status, rows_affected FROM backfill_log").result_rows
    assert {tuple(row) for row in messages} == {
        (of_run(AUTOMATIC, run_id, STATS, day).work_id, status, rows)
        for run_id, status, rows in (("dead-1", "failed", 0), ("dead-2", "completed", 7), ("alive", "running", 0))
    }
    # Of runs whose ids begin alike, and of tables whose names end alike, each has an audit of its own.
    alike = [("12345678-a", STATS), ("12345678-b", STATS), ("12345678-a", f"other_{STATS}")]
    assert len({of_run(AUTOMATIC, run_id, table, day).work_id for run_id, table in alike}) == len(alike)
