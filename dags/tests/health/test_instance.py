"""What Dagster's instance tells of sensors, schedules and the runs of loads, as its daemon leaves it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from dagster import AssetCheckEvaluation, AssetKey, DagsterEvent, DagsterEventType, DagsterInstance
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG
from dagster._daemon.types import DaemonHeartbeat

from dags.definitions import defs
from dags.domain.clock import utc_now
from dags.health.causes import Check
from dags.health.facts import Facts, Load, Section, Ticking
from dags.health.instance import (
    HEALTH_SCHEDULE,
    IS_UNKNOWN,
    IS_UNREACHABLE,
    LOOKED_BACK,
    RETENTION_SCHEDULE,
    Timetable,
    Trigger,
    last_compared,
    last_tick,
    read_sections,
)
from dags.health.judging import judge
from dags.schedules import HEALTH_CRON, RETENTION_CRON
from dags.sources.declaration import Sources, declared
from dags.tests.health.daemon import Daemon
from dags.tests.health.known import TARGETS, facts
from dags.tests.health.test_store import INGESTIONS
from dags.tests.runbook import symptom

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SENSOR, SCHEDULE, LOADS = "web_analytics_backfill_sensor", "web_analytics_backfill_schedule", "postgres_schedule"
EVERY = timedelta(hours=6)
TIMETABLE = Timetable(
    (
        Trigger(SENSOR, is_sensor=True, is_on=True, every=EVERY),
        Trigger(SCHEDULE, is_sensor=False, is_on=True, crons=("0 2 * * *",)),
        Trigger(LOADS, is_sensor=False, is_on=True, crons=("15 * * * *",)),
    ),
    (SENSOR, SCHEDULE),
    {LOADS: "what has changed"},
)
NOW = datetime(2026, 1, 20, 6, tzinfo=UTC)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with DagsterInstance.ephemeral() as instance:
        yield Daemon.of(instance, tmp_path)


def ticking(daemon: Daemon, name: str, now: datetime = NOW) -> Ticking:
    found = read_sections(daemon.instance, TIMETABLE, Sources(), (), now)
    assert found["unread"] == {}
    [one] = [one for one in found["ticking"] if one.name == name]
    assert isinstance(one, Ticking)
    return one


def test_every_sensor_and_schedule_that_is_served_is_looked_at_and_the_one_of_the_checks_too() -> None:
    repository = defs.get_repository_def()
    served = {one.name for one in repository.sensor_defs} | {one.name for one in repository.schedule_defs}
    made = Timetable.of(
        list(repository.sensor_defs),
        [one for one in repository.schedule_defs if one.name not in (HEALTH_SCHEDULE, RETENTION_SCHEDULE)],
        repairing=[],
        loads=[],
        chores=[one for one in repository.schedule_defs if one.name == "web_analytics_sweep_backups_schedule"],
    )
    by_schedule = {one.name: one for one in repository.schedule_defs}
    assert made.chores == {name: by_schedule[name].job_name for name in made.chores}
    assert by_schedule[RETENTION_SCHEDULE].cron_schedule == RETENTION_CRON
    assert by_schedule[HEALTH_SCHEDULE].cron_schedule == HEALTH_CRON
    assert {one.name for one in made.triggers} == served
    by_name = {one.name: one for one in made.triggers}
    assert by_name[SENSOR] == Trigger(SENSOR, is_sensor=True, is_on=True, every=EVERY)
    assert by_name[SCHEDULE] == Trigger(SCHEDULE, is_sensor=False, is_on=True, crons=("0 2 * * *",))


def test_where_no_daemon_ever_ran_nothing_is_known_to_one(daemon: Daemon) -> None:
    found = read_sections(daemon.instance, TIMETABLE, Sources(), (), NOW)
    assert found["daemon_at"] is None
    assert [one.is_known for one in found["ticking"]] == [False, False, False]
    assert symptom("… daemon has never run").match(matter(daemon)["daemon"])


def matter(daemon: Daemon, now: datetime = NOW) -> dict[str, str]:
    """What is the matter by what the instance tells, by key."""
    facts = Facts(now, (), **read_sections(daemon.instance, TIMETABLE, Sources(), (), now))
    return {cause.key: cause.what for cause in judge(facts, TARGETS, TIMETABLE.repairing).causes}


def test_each_way_in_which_nothing_goes_on_by_itself_is_seen_until_that_is_over(daemon: Daemon) -> None:
    daemon.beats(NOW - timedelta(hours=1))
    assert symptom("… daemon does not run").match(matter(daemon)["daemon"])
    daemon.beats(NOW)
    assert "daemon" not in matter(daemon)
    assert symptom("… is known to no daemon yet").match(matter(daemon)[f"sensor:{SENSOR}"])
    daemon.ticks(SENSOR, NOW - timedelta(hours=7))
    assert symptom("… no longer ticks").match(matter(daemon)[f"sensor:{SENSOR}"])
    daemon.switch(SENSOR, NOW, InstigatorStatus.STOPPED)
    assert symptom("… is off").match(matter(daemon)[f"sensor:{SENSOR}"])
    daemon.switch(SENSOR, NOW, InstigatorStatus.RUNNING)
    for hours in (2, 1):
        daemon.ticks(SENSOR, NOW - timedelta(hours=hours), "code 210")
    assert symptom("… fails: …").match(matter(daemon)[f"sensor:{SENSOR}"])
    daemon.ticks(SENSOR, NOW)
    assert f"sensor:{SENSOR}" not in matter(daemon)


def test_a_daemon_lives_that_looks_after_sensors_and_schedules_both(daemon: Daemon) -> None:
    daemon.beats(NOW)
    assert read_sections(daemon.instance, TIMETABLE, Sources(), (), NOW)["daemon_at"] == NOW


def test_a_beat_and_a_tick_of_the_future_are_no_signs_of_life_of_either_daemon(daemon: Daemon) -> None:
    daemon.beats(NOW)
    daemon.ticks(SENSOR, NOW + timedelta(days=730))
    assert symptom("its last tick is of …, in the future").search(matter(daemon)[f"sensor:{SENSOR}"])
    daemon.instance.add_daemon_heartbeat(
        DaemonHeartbeat((NOW + timedelta(days=730)).timestamp(), "SENSOR", "daemon", [])
    )
    told = matter(daemon, NOW + timedelta(minutes=5))
    assert "its last sign is of 2028-01-20 06:00, in the future" in told["daemon"]
    assert f"sensor:{SENSOR}" not in told


def test_a_sensor_is_due_an_interval_after_its_last_tick(daemon: Daemon) -> None:
    at = NOW - timedelta(hours=7)
    daemon.ticks(SENSOR, at)
    assert ticking(daemon, SENSOR) == Ticking(
        SENSOR, is_sensor=True, is_on=True, is_known=True, every=EVERY, due_at=at + EVERY, ticked_at=at
    )


def test_a_schedule_is_due_by_its_cron_but_for_what_was_due_before_it_was_begun(daemon: Daemon) -> None:
    daemon.ticks(SCHEDULE, NOW - timedelta(days=1, hours=4))
    assert ticking(daemon, SCHEDULE).due_at == NOW - timedelta(hours=4)
    daemon.switch(SCHEDULE, NOW - timedelta(hours=1))
    assert ticking(daemon, SCHEDULE).due_at is None


@pytest.mark.parametrize("name", [SENSOR, SCHEDULE])
def test_what_a_person_has_switched_off_is_off(daemon: Daemon, name: str) -> None:
    daemon.switch(name, NOW, InstigatorStatus.STOPPED)
    assert not ticking(daemon, name).is_on
    daemon.switch(name, NOW, InstigatorStatus.RUNNING)
    assert ticking(daemon, name).is_on


def test_ticks_that_fail_are_counted_since_the_last_that_did_not(daemon: Daemon) -> None:
    for hours, error in ((9, "long ago"), (8, ""), (7, "first"), (6, "second"), (5, "third")):
        daemon.ticks(SENSOR, NOW - timedelta(hours=hours), error)
    one = ticking(daemon, SENSOR)
    assert (one.failures, one.failed_since, one.error) == (3, NOW - timedelta(hours=7), "third")
    daemon.ticks(SENSOR, NOW)
    assert (ticking(daemon, SENSOR).failures, ticking(daemon, SENSOR).error) == (0, "")


def test_an_instance_that_cannot_be_asked_is_unknown_and_its_runs_are_known() -> None:
    with DagsterInstance.ephemeral() as instance:  # has no storage of ticks
        found = read_sections(instance, TIMETABLE, Sources(), (), NOW)
    assert found["unread"].keys() == {Section.TRIGGERS}
    assert found["loads"] == (Load(LOADS, "what has changed"),)


def run(instance: DagsterInstance, end: DagsterEventType | None, part: Any = None, **tags: str) -> str:
    """A run that was launched now and ended so; None: it is at it. ``part``: what is to be done of it, and how."""
    made = instance.create_run_for_job(defs.resolve_job_def("check_missing_data_job"), tags=tags, **(part or {}))
    for event in filter(None, [DagsterEventType.RUN_START, end]):
        instance.report_dagster_event(DagsterEvent(event.value, made.job_name, message="it broke"), made.run_id)
    return made.run_id


def load(daemon: Daemon, hours_later: float = 0) -> Load:
    found = read_sections(daemon.instance, TIMETABLE, Sources(), (), utc_now() + timedelta(hours=hours_later))
    [one] = found["loads"]
    assert isinstance(one, Load)
    return one


def test_runs_of_a_load_that_fail_in_a_row_are_counted_whoever_else_runs(daemon: Daemon) -> None:
    tags = {"dagster/schedule_name": LOADS}
    run(daemon.instance, DagsterEventType.RUN_SUCCESS, **tags)
    assert (load(daemon).failures, load(daemon).succeeded_at is not None) == (0, True)
    run(daemon.instance, DagsterEventType.RUN_FAILURE, **tags)
    last = run(daemon.instance, DagsterEventType.RUN_FAILURE, **tags)
    run(daemon.instance, DagsterEventType.RUN_FAILURE, **{"dagster/schedule_name": "another"})
    one = load(daemon)
    assert (one.failures, one.run_id, one.error, one.due_at) == (2, last, "it broke", None)
    assert symptom("… failed, … in a row").match(matter(daemon, utc_now())[f"load:{LOADS}"])
    assert one.failed_since is not None


def test_a_chore_whose_runs_fail_is_told_until_one_does_the_same_and_succeeds_whoever_asked_for_it(
    daemon: Daemon,
) -> None:
    timetable = replace(TIMETABLE, chores={"retention_schedule": "check_missing_data_job"})
    tags = {"dagster/schedule_name": "retention_schedule", REPOSITORY_LABEL_TAG: "__repository__@here"}

    def said() -> tuple[int, str]:
        found = read_sections(daemon.instance, timetable, Sources(), (), utc_now())
        [one] = found["chores"]
        health = judge(facts(chores=(one,)), TARGETS, ())
        return one.failures, next((str(cause.state) for cause in health.causes if cause.key.startswith("chore:")), "")

    assert said() == (0, "")
    run(daemon.instance, DagsterEventType.RUN_FAILURE, **tags)
    assert said() == (1, "repairing")
    run(daemon.instance, DagsterEventType.RUN_FAILURE, **tags)
    # A dry run is another thing, and so is what another location does.
    run(daemon.instance, DagsterEventType.RUN_SUCCESS, {"run_config": {"output": "json"}})
    run(daemon.instance, DagsterEventType.RUN_SUCCESS, **{REPOSITORY_LABEL_TAG: "__repository__@elsewhere"})
    assert said() == (2, "needs you")
    run(daemon.instance, DagsterEventType.RUN_CANCELED, **tags)
    assert said() == (2, "needs you")
    run(daemon.instance, DagsterEventType.RUN_SUCCESS)
    assert said() == (0, "")
    run(daemon.instance, DagsterEventType.RUN_FAILURE, **tags)
    assert said() == (1, "repairing")
    run(daemon.instance, DagsterEventType.RUN_SUCCESS, **tags)
    assert said() == (0, "")


def test_a_load_that_is_at_it_since_two_ticks_is_due(daemon: Daemon) -> None:
    at_it = run(daemon.instance, None, **{"dagster/schedule_name": LOADS})
    one = load(daemon, hours_later=9)
    assert (one.run_id, one.failures, one.succeeded_at) == (at_it, 0, None)
    assert one.running_since is not None
    assert one.begun_at is not None
    assert abs(one.begun_at - one.running_since) < timedelta(seconds=30)
    assert one.due_at is not None
    assert timedelta(hours=7) < one.due_at - one.running_since <= timedelta(hours=8)
    assert symptom("… hangs: its run has no plan after …").match(
        matter(daemon, utc_now() + timedelta(hours=9))[f"load:{LOADS}"]
    )


def test_a_comparison_that_could_not_be_made_passes_once_or_where_nobody_could_be_asked(daemon: Daemon) -> None:
    def said(**metadata: Any) -> tuple[bool, bool]:
        result = AssetCheckEvaluation(AssetKey("stats"), str(Check.ACCURATE), passed=not metadata, metadata=metadata)
        daemon.instance.report_runless_asset_event(result)
        found = last_compared(daemon.instance, "stats")
        assert found is not None
        return found[0].is_unknown, found[0].is_passing

    busy, gone = {IS_UNKNOWN: True}, {IS_UNKNOWN: True, IS_UNREACHABLE: True}
    assert [said(**busy), said(**busy), said()] == [(True, True), (True, False), (False, False)]
    assert [said(**gone), said(**gone)] == [(True, True)] * 2
    assert said(**gone, unequal={"7": "differs"}) == (True, False)
    said(unequal={"7": "differs", "9": "too"}, day="2026-01-12")
    found = last_compared(daemon.instance, "stats")
    assert found is not None
    assert (found[0].day, found[0].teams) == (date(2026, 1, 12), (7, 9))
    # A check that was begun and never ended has left its plan, however often.
    for _ in range(LOOKED_BACK + 1):
        made = daemon.instance.create_run_for_job(defs.resolve_job_def("check_missing_data_job"))
        daemon.instance.report_dagster_event(
            DagsterEvent(
                DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value,
                made.job_name,
                event_specific_data=AssetCheckEvaluationPlanned(
                    asset_key=AssetKey("stats"), check_name=str(Check.ACCURATE)
                ),
            ),
            made.run_id,
        )
    assert last_compared(daemon.instance, "stats") == found


def test_the_runs_of_ingestions_that_are_active_are_looked_at_by_their_tag(daemon: Daemon) -> None:
    run(daemon.instance, DagsterEventType.RUN_FAILURE, **{"web_analytics_backfill/ingestion": "logs"})
    timetable = replace(TIMETABLE, loads={})
    found = read_sections(daemon.instance, timetable, declared(INGESTIONS), (), utc_now())
    assert [(one.name, one.failures, one.due_at) for one in found["loads"]] == [("logs", 1, None)]


def test_of_several_crons_the_last_tick_counts_in_its_time_zone() -> None:
    assert last_tick(["0 2 * * *", "30 5 * * *"], "UTC", NOW) == NOW - timedelta(minutes=30)
    assert last_tick(["0 2 * * *"], "America/New_York", NOW) == datetime(2026, 1, 19, 7, tzinfo=UTC)
