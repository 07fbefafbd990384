"""What the resource does beside a step: the engine is loaded for whoever opens it, and what is begun is waited for."""

from __future__ import annotations

import subprocess
import sys
import time

from dagster import DagsterInstance, job, op

from dags.dagster_runs.resource import ClickHouseResource

_PROGRAM = """
import os, sys, threading
from dagster import DagsterInstance, build_init_resource_context, job, op
from dags.dagster_runs.resource import ClickHouseResource
from dags.settings import current_settings

@op(required_resource_keys={"clickhouse"})
def nothing(): ...

@job(resource_defs={"clickhouse": ClickHouseResource()})
def idle(): nothing()

def run():
    with DagsterInstance.ephemeral() as instance:
        idle.execute_in_process(instance=instance)

def tick():
    ClickHouseResource().setup_for_execution(build_init_resource_context())

# A code server lives for days, and has a child open the engine.
for dsn, act in ("clickhouse://nowhere:8123/web_analytics", run), ("chdb:///nowhere", tick), ("chdb:///nowhere", run):
    os.environ["CLICKHOUSE_DSN"] = dsn
    current_settings.cache_clear()
    act()
    [one.join() for one in threading.enumerate() if one is not threading.current_thread() and not one.daemon]
    print(dsn, act.__name__, "chdb" in sys.modules)
"""


def test_the_embedded_engine_is_loaded_before_the_step_of_a_run_asks_for_it_and_for_nobody_else() -> None:
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-3:] == [
        "clickhouse://nowhere:8123/web_analytics run False",
        "chdb:///nowhere tick False",
        "chdb:///nowhere run True",
    ]


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
