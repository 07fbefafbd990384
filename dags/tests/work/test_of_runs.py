"""What the audit says of builds that the planner launched, once they are over: whatever ended them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from clickhouse_connect.driver.exceptions import OperationalError
from dagster import build_sensor_context

from dags.definitions import defs
from dags.domain.errors import LeaseError
from dags.publish.build import DayBuild
from dags.publish.restore import DayRestore
from dags.tests.managed_backfill import asked
from dags.tests.variants import server_at_night
from dags.tests.web_preaggregated_backfill.test_what_is_left import NOWHERE, asked_about
from dags.tests.web_preaggregated_backfill.test_what_is_shown import WHO, checks, detector
from dags.tests.world import BOUNCES, STATS, ago
from dags.web_preaggregated_backfill.last_verdict import last_verdict
from dags.work import of_runs
from dags.work.audit.log import AUTOMATIC, Entry, Event
from dags.work.audit.store import Log, read_works
from dags.work.dead_runs.sensors import cursors, over_since
from dags.work.of_runs import RunWork, audited

if TYPE_CHECKING:
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.tests.world import World

pytestmark = server_at_night

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

    said, looked = cursors(ticked(world))
    assert said == looked
    assert over_since(world.instance, said, lambda _: True) == ({}, said)
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


def ticked(world: World, cursor: str = "") -> str:
    """One tick of the sensor; its next cursor."""
    sensor = defs.resolve_sensor_def("web_analytics_dead_runs_sensor")
    with build_sensor_context(
        instance=world.instance,
        definitions=defs,
        sensor_name=sensor.name,
        resources=defs.resources or {},
        cursor=cursor,
    ) as context:
        sensor.evaluate_tick(context)
        return context.cursor or ""


def killed(world: World, job: str, config: dict[str, object]) -> None:
    """Run a job whose process is killed at the second day: it says nothing more, and looks at nothing."""

    def silent(log: Log, *entries: Entry) -> None:
        if any(entry.event == Event.ENDED for entry in entries):
            raise OperationalError("the process is dead")
        append(log, *entries)

    def at_the_second(of_day: DayBuild | DayRestore) -> object:
        if len(begun) == 1:
            raise KeyboardInterrupt
        begun.append(of_day.day)
        return (build if isinstance(of_day, DayBuild) else restore)(of_day)  # type: ignore[arg-type]

    begun: list[date] = []
    append, build, restore = Log.append, DayBuild.run, DayRestore.run
    with pytest.MonkeyPatch.context() as fault:
        fault.setattr(Log, "append", silent)
        fault.setattr(DayBuild, "run", at_the_second)
        fault.setattr(DayRestore, "run", at_the_second)
        fault.setattr("dags.managed_backfill.jobs.look_again", lambda *_, **__: None)
        assert not world.run_as_configured(job, config, raise_on_error=False).success


@pytest.mark.long
def test_what_a_killed_run_left_is_looked_at_and_the_audit_is_one_with_the_list(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    days = [ago(n) for n in (4, 3, 2)]
    world.traffic([1], days)
    world.select(1)
    cursor = ticked(world)

    def audit_and_list() -> tuple[str, str]:
        """The status by both."""
        [(backfill_id, status)] = world.client.query("SELECT backfill_id, status FROM backfill_log").result_rows
        capsys.readouterr()
        world.run_as_configured("show_backfills_job", {"status": status})
        assert backfill_id in capsys.readouterr().out
        world.run_as_configured("show_backfills_job", {"backfill_id": backfill_id})
        said = " ".join(capsys.readouterr().out.split())
        assert said.lower().startswith(f"{status} {backfill_id}: ")
        return status, said

    killed(world, "managed_backfill_job", asked(start_date=str(days[0]), end_date=str(days[-1]), dry_run=False))
    [(backfill_id, status)] = world.client.query("SELECT backfill_id, status FROM backfill_log").result_rows
    assert status == "running"
    cursor = ticked(world, cursor)
    status, said = audit_and_list()
    assert status == "interrupted"
    assert "interrupted: the run ended as failure, its log in Dagster says why" in said
    assert detector(world)["wrong_units"] == len(world.evaluate().detection.wrong) == 5
    # It can be gone on with; and killed while it is taken back, it is half taken back, and the verdict says so.
    world.run_as_configured("resume_backfill_job", {"backfill_id": backfill_id, **WHO})
    world.built(*days)
    world.missing_data()
    assert checks(world) == {STATS: True, BOUNCES: True}
    killed(world, "rollback_backfill_job", {"backfill_id": backfill_id, "allow_losing_later_builds": True, **WHO})
    assert checks(world) == {STATS: True, BOUNCES: True}
    cursor = ticked(world, cursor)
    assert checks(world)[STATS] is False
    assert detector(world)["wrong_units"] == len(world.evaluate().detection.wrong) > 0
    status, said = audit_and_list()
    assert status == "rolling back"
    assert "rolling back: the run ended as failure, its log in Dagster says why" in said
    # Each end is said once, and looked at once; a question that failed has changed nothing.
    events = world.client.query("SELECT count() FROM web_analytics_work_events").result_rows
    with pytest.raises(Exception, match="NOT COMPLETE"):
        world.run_as_configured("check_missing_data_job", {"fail_when_incomplete": True})
    last = last_verdict(world.instance).number
    cursor = ticked(world, cursor)
    assert world.client.query("SELECT count() FROM web_analytics_work_events").result_rows == events
    assert last_verdict(world.instance).number == last
    # Where ClickHouse cannot be asked what a run has left, nothing is known, which is said once.
    world.build_fails(days[0])
    with asked_about(NOWHERE):
        assert ticked(world, cursor).split("|")[0] == cursor.split("|")[0]  # the audit is told by a later tick
        assert detector(world)["status"].startswith("UNKNOWN: no ClickHouse answers")
        last = last_verdict(world.instance).number
        ticked(world, cursor)
        assert last_verdict(world.instance).number == last
