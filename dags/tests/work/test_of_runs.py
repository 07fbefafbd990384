"""What the audit says of builds that the planner launched, once they are over: whatever ended them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from clickhouse_connect.driver.exceptions import OperationalError
from dagster import build_sensor_context

from dags.definitions import defs
from dags.domain.errors import LeaseError
from dags.publish.build import DayBuild
from dags.tests.world import BOUNCES, STATS, ago
from dags.work import of_runs
from dags.work.audit.log import AUTOMATIC
from dags.work.audit.store import read_works
from dags.work.dead_runs.sensors import over_since
from dags.work.of_runs import RunWork, audited

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from dags.tests.world import World

DAY = ago(1)


def carried_out(world: World) -> None:
    """The one run that a tick asks for; it fails."""
    world.set(backfill_min_missing_partitions=1)
    world.traffic([1], [DAY])
    world.select(1)
    [request] = world.tick().requests
    options = {"partition_key": str(DAY), "run_config": request.run_config, "tags": request.tags}
    assert not world.loop.run("web_pre_aggregate_job", raise_on_error=False, **options).success


def audit(world: World) -> dict[str, tuple[str, bool]]:
    rows = read_works(world.client, kinds=["automatic"])
    return {row.work.subject: (str(row.status), row.completed_at is not None) for row in rows}


def errors(world: World) -> set[str]:
    rows = world.client.query("SELECT payload FROM web_analytics_work_events WHERE event = 'step_failed'").result_rows
    return {words for (words,) in rows}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(LeaseError("it is being built by run 1234"), "it is being built by run 1234", id="ours"),
        pytest.param(RuntimeError("no such thing"), "RuntimeError: no such thing", id="a fault of ours"),
    ],
)
def test_a_build_that_raises_has_failed_in_the_audit_too(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def run(_: DayBuild) -> None:
        raise error

    monkeypatch.setattr(DayBuild, "run", run)
    carried_out(world)
    assert audit(world) == dict.fromkeys((STATS, BOUNCES), ("failed", True))
    assert errors(world) == {words}


def test_a_build_that_came_to_its_ceiling_is_not_complete_in_the_audit(world: World) -> None:
    world.set(build_max_rows_read=1)
    carried_out(world)
    assert audit(world) == dict.fromkeys((STATS, BOUNCES), ("failed", True))
    [words] = errors(world)
    assert "1 teams were left out, for the run may read no more (WEB_ANALYTICS_BUILD_MAX_ROWS_READ" in words


def test_what_a_run_could_not_say_in_its_end_is_said_by_the_next_tick_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_out(*_: object, **__: object) -> None:
        raise OperationalError("the server is gone")

    with monkeypatch.context() as fault:
        fault.setattr(DayBuild, "run", give_out)
        fault.setattr(of_runs, "_end", give_out)
        fault.setattr("dags.clickhouse.failures.wait_seconds", lambda *_: 0.0)
        carried_out(world)
    assert audit(world) == dict.fromkeys((STATS, BOUNCES), ("running", False))

    sensor = defs.resolve_sensor_def("web_analytics_dead_runs_sensor")
    with build_sensor_context(
        instance=world.instance, definitions=defs, sensor_name=sensor.name, resources=defs.resources or {}
    ) as context:
        sensor.evaluate_tick(context)
        assert context.cursor
        assert over_since(world.instance, context.cursor, lambda _: True) == ({}, context.cursor)
    assert audit(world) == dict.fromkeys((STATS, BOUNCES), ("failed", True))
    assert errors(world) == {"the run ended as failure, its log in Dagster says why"}


def test_a_kill_while_ends_are_recorded_writes_over_none_of_them(client: Client) -> None:
    works = [RunWork(client, AUTOMATIC, "run-1", subject, "2026-01-02") for subject in ("first", "second", "third")]

    def killed(self: RunWork, rows: int, problem: str) -> None:
        end(self, rows, problem)
        if self.subject == "second":
            raise KeyboardInterrupt

    end = RunWork.end
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):  # noqa: PT012 -- one context
        patch.setattr(RunWork, "end", killed)
        with audited(works, requested_by="sensor") as ended:
            ended(dict.fromkeys(("first", "second", "third"), (3, "")))
    statuses = {row.work.subject: row.status for row in read_works(client, kinds=[AUTOMATIC])}
    assert statuses == {"first": "completed", "second": "completed", "third": "failed"}
