"""What the resource does beside a step: the engine is loaded for whoever opens it, and what is begun is waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from dagster import DagsterInstance, job, op

from dags.dagster_runs.resource import ClickHouseResource

_PROGRAM = """
import sys, threading
from dagster import DagsterInstance, build_init_resource_context, job, op
from dags.dagster_runs.resource import ClickHouseResource

@op(required_resource_keys={"clickhouse"})
def nothing(): ...

@job(resource_defs={"clickhouse": ClickHouseResource()})
def idle(): nothing()

if sys.argv[1] == "tick":
    ClickHouseResource().setup_for_execution(build_init_resource_context())
else:
    with DagsterInstance.ephemeral() as instance:
        idle.execute_in_process(instance=instance)
[one.join() for one in threading.enumerate() if one is not threading.current_thread() and not one.daemon]
print("chdb" in sys.modules)
"""


@pytest.mark.parametrize(
    ("who", "dsn", "is_loaded"),
    [
        ("run", "chdb:///nowhere", "True"),
        ("run", "clickhouse://nowhere", "False"),
        # A code server lives for days, and has a child open the engine.
        ("tick", "chdb:///nowhere", "False"),
    ],
)
def test_the_embedded_engine_is_loaded_before_the_step_of_a_run_asks_for_it(who: str, dsn: str, is_loaded: str) -> None:
    asked = [sys.executable, "-c", _PROGRAM, who]
    ran = subprocess.run(asked, env={**os.environ, "CLICKHOUSE_DSN": dsn}, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == is_loaded


def test_what_is_begun_beside_a_step_is_over_before_the_run_is_and_its_error_is_in_the_log() -> None:
    over = []

    def take_long() -> None:
        time.sleep(0.3)
        over.append("long")

    def fail() -> None:
        raise ValueError("nobody looks")

    @op(required_resource_keys={"clickhouse"})
    def begins(context) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 -- Dagster reads annotations itself
        context.resources.clickhouse.beside(take_long)
        context.resources.clickhouse.beside(fail)

    @job(resource_defs={"clickhouse": ClickHouseResource()})
    def beginning() -> None:
        begins()

    with DagsterInstance.ephemeral() as instance:
        ran = beginning.execute_in_process(instance=instance)
        assert ran.success
        assert over == ["long"]
        said = [entry.user_message for entry in instance.all_logs(ran.run_id)]
    assert "what went on beside the step failed: ValueError: nobody looks" in said
