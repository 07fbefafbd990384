"""The story of the backfill, on a real engine and a real Dagster instance.

Traffic comes in, days are built, something breaks, the data is asked what is missing, and exactly that is rebuilt.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from dagster import AssetCheckKey, AssetKey, DagsterRunStatus, Failure
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, RETRY_NUMBER_TAG, ROOT_RUN_ID_TAG

from dags.clickhouse.leases.rules import Lease
from dags.clickhouse.leases.store import Leases, read_leases
from dags.dagster_runs.tags import TAG_PREFIX
from dags.definitions import defs
from dags.demo.loop import Tick
from dags.detection.rules import Cause, Kind
from dags.domain.clock import utc_now
from dags.domain.errors import BuildError, UserError
from dags.repair.attempts import RunState
from dags.repair.decision import Trigger, Why
from dags.repair.runs import runs_of
from dags.tests.builds import build
from dags.tests.events import Event, insert
from dags.tests.faulty import break_team, mended
from dags.tests.fold import fold, stored
from dags.tests.runbook import cure, symptom
from dags.tests.variants import at_night, both_by_day, embedded_at_night, server_at_night
from dags.tests.world import BOUNCES, STATS, World, ago, noon, tables_asked
from dags.web_preaggregated.tables import WEB_TABLES
from dags.web_preaggregated_backfill.evaluation import Evaluation, evaluate, run_requests
from dags.web_preaggregated_backfill.report import summary_text
from dags.work.audit.store import read_works

if TYPE_CHECKING:
    from datetime import date

pytestmark = server_at_night

WEEK = [ago(n) for n in range(7, 0, -1)]


def lose(world: World, table: str, *days: date) -> None:
    for day in days:
        world.client.command(f"ALTER TABLE {table} DROP PARTITION {day:%Y%m%d}")


@both_by_day
def test_what_broke_is_found_rebuilt_and_verified_and_nothing_else_is_touched(world: World) -> None:
    days = WEEK[-4:]
    events = world.traffic([1, 2, 3], days)
    world.select(1, 2, 3)
    world.built(*days[:-1])
    _, lost_day, team_day, never_built = days
    lose(world, STATS, lost_day)
    for table in (STATS, BOUNCES):
        world.client.command(f"DELETE FROM {table} WHERE team_id = 2 AND toDate(period_bucket) = '{team_day}'")

    details = world.missing_data()["details"]
    assert {table: (found["missing_count"], found["sample_dates"]) for table, found in details.items()} == {
        STATS: (3, [str(day) for day in (never_built, team_day, lost_day)]),
        BOUNCES: (2, [str(day) for day in (never_built, team_day)]),
    }

    asked = world.tick()
    assert tables_asked(asked) == {
        str(never_built): {STATS, BOUNCES},
        str(team_day): {STATS, BOUNCES},
        str(lost_day): {STATS},
    }
    frozen = [request.run_config["ops"]["web_pre_aggregated"]["config"] for request in asked.requests]
    assert frozen == [
        {"team_ids_by_table": {BOUNCES: [1, 2, 3], STATS: [1, 2, 3]}},
        {"team_ids_by_table": {BOUNCES: [2], STATS: [2]}},
        {"team_ids_by_table": {STATS: [1, 2, 3]}},
    ]
    tags = asked.requests[0].tags
    assert tags["backfill_run"] == tags["missing_data_detected"] == "true"
    assert tags[f"{TAG_PREFIX}reasons"] == "never built: 6"

    untouched = stored(world.client, BOUNCES, lost_day)
    world.carry_out(asked)
    after = world.missing_data()
    assert after["total_missing_partitions"] == after["wrong_units"] == 0
    assert untouched == stored(world.client, BOUNCES, lost_day) != {}
    for day in days:
        for table in (STATS, BOUNCES):
            assert stored(world.client, table, day) == fold(events, day, table) != {}
    again = world.tick()
    assert again.requests == ()
    assert "COMPLETE" in again.skip_message


def test_two_missing_partitions_open_no_backfill_and_the_skip_reason_says_so(world: World) -> None:
    days = WEEK[:3]
    world.traffic([1], days)
    world.select(1)
    world.built(*days)
    lose(world, STATS, *days[:2])
    asked = world.tick()
    assert asked.requests == ()
    assert "2 partitions to repair, fewer than the 3 that begin a backfill" in asked.skip_message
    lose(world, BOUNCES, days[2])
    assert sorted(map(str, tables_asked(world.tick()))) == [str(day) for day in days]


def test_eight_missing_days_are_rebuilt_newest_first_seven_then_the_eighth(world: World) -> None:
    days = [ago(n) for n in range(1, 9)]
    world.traffic([1], days)
    world.select(1)
    first = world.tick()
    assert [request.partition_key for request in first.requests] == [str(day) for day in days[:7]]
    world.carry_out(replace(first, requests=first.requests[:1]))
    world.built(*days[1:7])
    # One day is left, two partitions: too few to begin a backfill, but it remains of the one that has begun.
    second = world.tick()
    assert [request.partition_key for request in second.requests] == [str(days[7])]
    world.carry_out(second)
    assert world.tick().requests == ()
    assert world.missing_data()["total_missing_partitions"] == 0


@pytest.mark.parametrize("status", [DagsterRunStatus.QUEUED, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING])
def test_what_is_queued_or_running_is_not_asked_for_again_and_is_named(world: World, status: DagsterRunStatus) -> None:
    world.traffic([1], WEEK[:3])
    world.select(1)
    run_id = world.queue(WEEK[1], status)
    for asked in (world.tick(), world.check()):
        assert sorted(map(str, tables_asked(asked))) == [str(WEEK[0]), str(WEEK[2])]
    decision = world.evaluate().decision
    assert [(d.day, d.why, d.detail) for d in decision.deferred] == [
        (WEEK[1], Why.IN_FLIGHT, f"run {run_id[:8]}"),
    ]


def test_two_triggers_at_the_same_moment_ask_under_the_same_run_keys(world: World) -> None:
    world.traffic([1], WEEK[:3])
    world.select(1)
    keys = [[request.run_key for request in asked.requests] for asked in (world.tick(), world.tick(), world.check())]
    assert keys[0] == keys[1] == keys[2]
    assert len(set(keys[0])) == 3


def test_a_failed_day_is_tried_again_later_each_time_under_a_new_run_key(world: World) -> None:
    days = WEEK[:3]
    world.traffic([1], days)
    world.select(1)
    world.client.command("SELECT 1")
    first = {request.partition_key: request.run_key for request in world.tick().requests}
    world.build_fails(days[0])

    now = world.evaluate().decision
    assert sorted(str(request.day) for request in now.requests) == [str(days[1]), str(days[2])]
    assert [(d.day, d.why) for d in now.deferred] == [(days[0], Why.BACKING_OFF)]

    later = world.evaluate(after=timedelta(hours=6, minutes=1)).decision
    retried = next(request for request in later.requests if request.day == days[0])
    assert retried.attempt == 1
    assert retried.run_key != first[str(days[0])]

    world.build_fails(days[0])
    assert days[0] not in [r.day for r in world.evaluate(after=timedelta(hours=11)).decision.requests]
    assert days[0] in [r.day for r in world.evaluate(after=timedelta(hours=12, minutes=1)).decision.requests]


def test_a_failed_build_is_the_reason_that_the_report_gives(world: World) -> None:
    world.traffic([1], WEEK[:1])
    world.select(1)
    world.build_fails(WEEK[0])
    found = world.evaluate().detection.wrong
    assert {(v.unit.table, v.kind, v.cause) for v in found} == {
        (STATS, Kind.MISSING, Cause.BUILD_FAILED),
        (BOUNCES, Kind.MISSING, Cause.BUILD_FAILED),
    }
    assert all("memory limit exceeded" in v.detail for v in found)


def test_a_run_that_succeeded_and_left_its_day_empty_is_a_failed_attempt(world: World) -> None:
    days = WEEK[:2]
    world.traffic([1], days)
    world.select(1)
    world.carry_out(world.tick())
    for table in (STATS, BOUNCES):
        lose(world, table, *days)
    # Nothing says that it was read back: as far as anybody knows it left nothing there.
    world.client.command("TRUNCATE TABLE web_pre_aggregated_builds")
    decision = world.evaluate().decision
    assert decision.requests == ()
    assert {d.why for d in decision.deferred} == {Why.BACKING_OFF}
    assert len(world.evaluate(after=timedelta(hours=7)).decision.requests) == 2


def test_a_team_without_traffic_on_a_day_is_not_missing_that_day(world: World) -> None:
    days = WEEK[:4]
    world.traffic([1], days)
    world.traffic([2], days[:2])
    insert(world.client, [Event(2, noon(days[2]), "", "$pageview"), Event(2, noon(days[3]), "silent", "$autocapture")])
    world.select(1, 2, 3)
    world.build(*days)
    assert world.evaluate().detection.wrong == ()
    assert world.evaluate().detection.complete_by_table == {STATS: 6, BOUNCES: 6}


def test_a_team_that_is_no_longer_enabled_is_not_judged_and_keeps_its_rows(world: World) -> None:
    world.set(backfill_min_missing_partitions=1)
    days = WEEK[:2]
    events = world.traffic([1, 2, 3], days)
    world.select(1, 2, 3)
    world.built(*days)
    world.client.command("INSERT INTO web_analytics_enabled_teams (team_id, is_enabled) VALUES (3, 0)")
    world.select(1, 2)
    lose(world, STATS, days[0])
    world.client.command("DELETE FROM events WHERE team_id = 3")
    assert {v.unit.team_id for v in world.evaluate().detection.wrong} == {1, 2}
    world.carry_out(world.tick())
    assert world.missing_data()["wrong_units"] == 0
    for day in days:
        assert stored(world.client, BOUNCES, day) == fold(events, day, BOUNCES)
    assert stored(world.client, STATS, days[1]) == fold(events, days[1], STATS)


def test_without_a_team_nothing_is_watched_and_nothing_is_called_complete(world: World) -> None:
    world.traffic([1], WEEK)
    for message in (world.tick().skip_message, world.check().skip_message):
        assert symptom("NOTHING IS WATCHED").search(message)
        assert "COMPLETE" not in message


@embedded_at_night
def test_late_data_is_left_by_the_sensor_and_repaired_by_the_comprehensive_check(world: World) -> None:
    days = WEEK[:3]
    world.traffic([1, 2], days)
    world.select(1, 2)
    world.built(*days)
    late = days[:2]
    world.traffic([2], late, session="late")
    found = world.evaluate().detection.wrong
    assert {(v.unit.team_id, v.unit.day, v.cause) for v in found} == {(2, day, Cause.SOURCE_GREW) for day in late}
    assert symptom("left to the comprehensive check").search(world.tick().skip_message)
    asked = world.check()
    assert tables_asked(asked) == {str(day): {STATS, BOUNCES} for day in late}
    world.carry_out(asked)
    assert world.missing_data()["wrong_units"] == 0


def test_a_day_that_is_still_open_is_never_stale(world: World) -> None:
    is_open, is_closed = ago(1), ago(2)
    world.traffic([1], [is_open, is_closed])
    world.select(1)
    world.built(is_open, is_closed)
    world.traffic([1], [is_open, is_closed], session="still arriving")
    wrong = world.evaluate(Trigger.SCHEDULE).detection.wrong
    assert {(v.unit.day, v.cause) for v in wrong} == {(is_closed, Cause.SOURCE_GREW)}


@embedded_at_night
def test_tables_that_disagree_are_told_apart_and_only_the_wrong_one_is_rebuilt(world: World) -> None:
    world.set(backfill_min_missing_partitions=1)
    days = WEEK[:3]
    world.traffic([1, 2], days, views=4)
    world.select(1, 2)
    world.built(*days)
    world.client.command(
        f"DELETE FROM {STATS} WHERE team_id = 1 AND pathname = '/3' AND toDate(period_bucket) = '{days[1]}'"
    )
    [verdict] = world.evaluate().detection.wrong
    assert (verdict.unit.table, verdict.kind, verdict.is_inconsistent) == (STATS, Kind.PARTIAL, True)
    assert world.tick().requests == ()
    asked = world.check()
    assert tables_asked(asked) == {str(days[1]): {STATS}}
    world.carry_out(asked)
    assert world.evaluate().detection.wrong == ()


@embedded_at_night
def test_an_expired_source_erases_no_history_and_waits_for_a_person(world: World) -> None:
    events = world.traffic([1], WEEK[:2])
    world.select(1)
    world.built(*WEEK[:2])
    world.client.command(f"ALTER TABLE events DROP PARTITION {WEEK[0]:%Y%m%d}")
    for asked in (world.tick(), world.check()):
        assert asked.requests == ()
        assert symptom("held until a person allows it").search(asked.skip_message)
    assert stored(world.client, STATS, WEEK[0]) == fold(events, WEEK[0], STATS)
    world.missing_data()
    _, allowed = cure("held until a person allows it", "web_pre_aggregate_job", allow_shrink=True)
    words = check_words(world)
    assert f"no source, held: team 1, {STATS}, {WEEK[0]}" in words
    # What its check says is what a person types, and no other.
    [typed] = re.findall(r"(?m)^- `dg launch --job (\w+) --partition (\S+) -c <\(echo '(.*)'\)`$", words)
    job, day, config = typed[0], typed[1], yaml.safe_load(typed[2])
    assert config == {"ops": {"web_pre_aggregated": {"config": {"team_ids": [1], **allowed}}}}
    world.loop.run(job, partition_key=day, run_config=config)
    assert "held until" not in world.tick().skip_message
    assert stored(world.client, STATS, WEEK[0]) == {}


def check_words(world: World) -> str:
    """What the last result of the check of page views says to people."""
    key = AssetCheckKey(AssetKey(STATS), "complete")
    [record] = world.instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).values()
    assert record.event is not None
    assert record.event.dagster_event is not None
    return record.event.dagster_event.asset_check_evaluation_data.description or ""


@embedded_at_night
def test_tables_that_are_older_than_the_ledger_are_adopted(world: World) -> None:
    world.traffic([1, 2], WEEK[:3])
    world.select(1, 2)
    world.built(*WEEK[:3])
    world.client.command("TRUNCATE TABLE web_pre_aggregated_builds")
    assert world.evaluate().detection.wrong == ()
    # What was verified is recorded: the second detection asks the projections and the ledger, and no event.
    assert world.evaluate().detection.cost.queries < 8


def unreadable(world: World, table: str) -> None:
    """Make every read of a table's rows fail, as a broken disk would; its columns stay visible."""
    world.client.command(f"RENAME TABLE {table} TO hidden_from_readers")
    columns = "*, qualifies" if table == "events" else "*"
    world.client.command(
        f"CREATE VIEW {table} AS SELECT {columns} FROM hidden_from_readers "
        "WHERE throwIf(team_id > 0, 'disk on fire') = 0"
    )


def readable_again(world: World, table: str) -> None:
    world.client.command(f"DROP VIEW {table} SYNC")
    world.client.command(f"RENAME TABLE hidden_from_readers TO {table}")


@embedded_at_night
def test_a_table_that_cannot_be_read_is_unknown_and_never_complete(world: World) -> None:
    days = WEEK[:3]
    world.traffic([1], days)
    world.select(1)
    world.built(*days)
    unreadable(world, BOUNCES)
    try:
        for asked in (world.tick(), world.check()):
            assert asked.requests == ()
            assert f"unknown: {BOUNCES} could not be read" in asked.skip_message
            assert "rename it, and have the table made anew" in asked.skip_message
        for job in ("check_missing_data_job", "show_data_gaps_job", "why_job"):
            with pytest.raises(Failure, match="unknown, not complete"):
                world.run_as_configured(job)
        with pytest.raises(Failure, match="unknown, not complete"):
            world.materialize("web_analytics_backfill_detector")
        lose(world, STATS, *days)
        assert tables_asked(world.tick()) == {str(day): {STATS} for day in days}
    finally:
        readable_again(world, BOUNCES)


def test_a_source_that_cannot_be_read_makes_all_its_tables_unknown_and_launches_nothing(world: World) -> None:
    world.traffic([1], WEEK)
    world.select(1)
    unreadable(world, "events")
    try:
        for asked in (world.tick(), world.check()):
            assert asked.requests == ()
            assert f"UNKNOWN: {STATS}, {BOUNCES} could not be read" in asked.skip_message
            assert symptom("… could not be read").search(asked.skip_message)
        assert check_results(world) == {STATS: False, BOUNCES: False}
    finally:
        readable_again(world, "events")
    assert tables_asked(world.tick()).keys() == {str(day) for day in WEEK}


@at_night
def test_at_most_so_many_days_are_launched_in_one_utc_day(world: World) -> None:
    world.set(backfill_max_days_per_day=3, backfill_max_partitions_per_run=2)
    world.traffic([1], WEEK)
    world.select(1)
    for expected in (2, 1, 0):
        asked = world.tick()
        assert len(asked.requests) == expected
        world.carry_out(asked)
    assert symptom("over the cap of this UTC day").search(world.tick().skip_message)
    # A person's own build is not counted, nor held up.
    assert world.loop.run("web_pre_aggregate_job", partition_key=str(WEEK[0])).success


def test_an_old_gap_is_repaired_below_the_minimum_when_a_maximum_age_is_set(world: World) -> None:
    world.traffic([1], [ago(5), ago(1)])
    world.select(1)
    world.built(ago(5), ago(1))
    lose(world, STATS, ago(5))
    assert world.tick().requests == ()
    world.set(backfill_max_gap_age_hours=72)
    assert tables_asked(world.tick()) == {str(ago(5)): {STATS}}


def test_every_evaluation_leaves_a_materialization_with_the_facts_and_the_reasons(world: World) -> None:
    world.traffic([1], WEEK)
    world.select(1)
    world.tick()
    world.check()
    world.materialize("web_analytics_backfill_detector")
    key = AssetKey("web_analytics_backfill_detector")
    events = world.instance.fetch_materializations(key, limit=10).records
    assert len(events) == 3
    for event in events:
        assert event.asset_materialization
        facts = {name: value.value for name, value in event.asset_materialization.metadata.items()}
        assert facts["should_backfill"] is True
        assert facts["total_missing_partitions"] == 14
        assert facts["tables_affected"] == [STATS, BOUNCES]
        assert facts["lookback_days"] == 30
        assert facts[f"{STATS}_missing_count"] == 7
        assert facts[f"{BOUNCES}_sample_dates"] == [str(day) for day in reversed(WEEK)]
        assert "14 partitions to repair" in str(facts["reasons"])


def test_the_gaps_are_printed_with_their_reasons_in_a_hundred_columns(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    days = WEEK[2:]
    world.traffic([1, 2], days)
    world.select(1, 2)
    world.built(*days[:2])
    lose(world, STATS, days[0])
    report = world.run_as_configured("show_data_gaps_job", {"days_back": 7}).output_for_node("show_data_gaps")
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines()) <= 100
    assert "never built" in printed
    assert "rows lost, tables disagree" in printed
    assert f"never built: teams 1, 2, {STATS}, {days[2]} … {days[4]}" in check_words(world)
    assert report[STATS] == {
        "missing_count": 4,
        "missing_dates": [str(day) for day in (days[0], *days[2:])],
        "date_ranges": [
            {"first": str(days[0]), "last": str(days[0]), "days": 1},
            {"first": str(days[2]), "last": str(days[4]), "days": 3},
        ],
        "reasons": {"never built": 6, "rows lost, tables disagree": 2},
    }


@pytest.mark.parametrize("days_back", [0, -1, 3651])
def test_a_look_back_that_cannot_be_meant_is_refused(world: World, days_back: int) -> None:
    with pytest.raises(Exception, match=f"days_back is {days_back}: give a whole number of days from 1 to 3,650"):
        world.run_as_configured("show_data_gaps_job", {"days_back": days_back})


def test_a_run_asked_for_some_teams_rebuilds_these_and_no_other(world: World) -> None:
    events = world.traffic([1, 2], WEEK[:1])
    world.select(1, 2)
    world.built(WEEK[0])
    late = {team: world.traffic([team], WEEK[:1], session="late") for team in (1, 2)}
    world.run_as_configured(
        "web_pre_aggregate_job",
        {"ops": {"web_pre_aggregated": {"config": {"team_ids": [1]}}}},
        partition_key=str(WEEK[0]),
    )
    for table in (STATS, BOUNCES):
        assert stored(world.client, table, WEEK[0]) == fold([*events, *late[1]], WEEK[0], table) != {}


def test_a_run_asked_for_a_team_that_nobody_enabled_is_refused_with_every_fault_at_once(world: World) -> None:
    world.traffic([1], WEEK[:1])
    world.select(1)
    config = {"team_ids": [1, 7], "team_ids_by_table": {"elsewhere": [1]}}
    with pytest.raises(BuildError) as refused:
        world.run_as_configured(
            "web_pre_aggregate_job", {"ops": {"web_pre_aggregated": {"config": config}}}, partition_key=str(WEEK[0])
        )
    words = str(refused.value)
    assert "team_ids_by_table names 'elsewhere'" in words
    assert "teams [7] were never enabled" in words
    assert stored(world.client, STATS, WEEK[0]) == {}


@pytest.mark.parametrize("key", ["2023-12-31", "2026-02-30", "yesterday"])
def test_a_partition_key_outside_the_set_is_refused(world: World, key: str) -> None:
    with pytest.raises(Exception, match=key):
        world.loop.run("web_pre_aggregate_job", partition_key=key)


def why(world: World, **asked: object) -> str:
    answer: str = world.run_as_configured("why_job", asked).output_for_node("why")
    assert max(len(line) for line in answer.splitlines()) <= 100
    return answer


def test_each_question_in_front_of_a_gap_has_an_answer_in_one_command(world: World) -> None:
    world.traffic([1, 2], WEEK[2:5])
    world.select(1, 2)
    world.built(*WEEK[2:5])
    lose(world, STATS, WEEK[3])
    world.build_fails(WEEK[3])

    about_day = why(world, day=str(WEEK[3]))
    assert f"{WEEK[3]} is a valid partition key and is judged; it is closed" in about_day
    assert "memory limit exceeded" in about_day
    said = " ".join(about_day.split())
    assert f"GAP teams 1, 2, {STATS}, {WEEK[3]}: missing, rows lost, tables disagree" in said
    assert "DECISION of the sensor and the schedule: 1 partition to repair, fewer than the 3 that begin a back" in said
    assert "1 attempt left 2 units wrong, next from" in about_day
    assert "next: look at the failed run (why_job with run_id)" in about_day
    typed = f"dg launch --job web_pre_aggregate_job --partition {WEEK[3]} -c <(echo '{{ops: {{web_pre_aggregated: "
    assert f"BUILD what is wrong now, and no other team's rows $ {typed}{{config: {{team_ids: [1, 2]}}}}}}}}')" in said

    about_team = why(world, team_id=2)
    assert "2 enabled, list written" in about_team
    assert "the dictionary answers as the list does" in about_team
    assert "team 2 is enabled" in about_team
    assert "team 1," not in about_team
    assert "COST " in about_team
    assert "was never enabled" in why(world, team_id=99)

    [run_id] = {word for word in about_day.split() if len(word) == 36}
    about_run = why(world, run_id=run_id[:8])
    assert "web_pre_aggregate_job, failure" in about_run
    assert "memory limit exceeded" in about_run


def test_builds_that_failed_for_one_reason_are_said_once_though_the_runs_were_many(world: World) -> None:
    world.traffic([1, 2], WEEK[:2])
    world.select(1, 2)
    for day in WEEK[:2]:
        world.build_fails(day)
    for trigger, days_read in ((Trigger.SCHEDULE, 30), (Trigger.SENSOR, 0)):
        found = world.evaluate(trigger)
        assert found.detection.days_read == days_read
        lines = [line for line in summary_text(found.detection, found.decision).splitlines() if line[:6] == "FAILED"]
        assert [" and 7 more: run " in line for line in lines] == [True]


@pytest.mark.parametrize("day", ["2023-12-31", "2026-02-30", "20260101", "yesterday"])
def test_a_day_that_is_no_partition_key_is_named(world: World, day: str) -> None:
    with pytest.raises(Exception, match=f"day is '{day}'"):
        why(world, day=day)


def test_a_run_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(Exception, match="run_id is 'feedbeef': no runs begin so"):
        why(world, run_id="feedbeef")


def check_results(world: World) -> dict[str, bool | None]:
    keys = [AssetCheckKey(AssetKey(table), "complete") for table in (STATS, BOUNCES)]
    latest = world.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    return {
        key.asset_key.to_user_string(): latest[key].status.value == "SUCCEEDED" if key in latest else None
        for key in keys
    }


def test_a_standing_check_fails_while_a_judged_day_is_wrong_and_when_it_cannot_know(world: World) -> None:
    assert check_results(world) == {STATS: None, BOUNCES: None}
    world.traffic([1], WEEK[1:4])
    world.tick()
    assert check_results(world) == {STATS: False, BOUNCES: False}  # no team is enabled
    world.select(1)
    world.built(*WEEK[1:4])
    world.tick()
    assert check_results(world) == {STATS: True, BOUNCES: True}
    lose(world, STATS, WEEK[2])
    world.tick()
    assert check_results(world) == {STATS: False, BOUNCES: True}
    unreadable(world, BOUNCES)
    try:
        world.check()
        assert check_results(world) == {STATS: False, BOUNCES: False}
    finally:
        readable_again(world, BOUNCES)
    world.build(WEEK[2])
    world.run_checks()
    assert check_results(world) == {STATS: True, BOUNCES: True}


def test_days_that_are_in_clickhouse_already_are_reported_to_dagster_once(world: World) -> None:
    days = WEEK[:3]
    world.traffic([1], days)
    world.select(1)
    world.built(*days)
    keys = [AssetKey(table) for table in (STATS, BOUNCES)]
    assert [world.instance.get_materialized_partitions(key) for key in keys] == [set(), set()]
    reported = world.run_as_configured("report_existing_days_job").output_for_node("report_days")
    assert reported == {STATS: len(days), BOUNCES: len(days)}
    assert [world.instance.get_materialized_partitions(key) for key in keys] == [{str(day) for day in days}] * 2
    again = world.run_as_configured("report_existing_days_job").output_for_node("report_days")
    assert again == {STATS: 0, BOUNCES: 0}


def test_a_day_with_ten_times_the_events_is_estimated_at_ten_times(world: World) -> None:
    """Days apart from each other: a rebuild reads a day's neighbours too, into which its sessions may reach."""
    world.traffic([1], [WEEK[0], WEEK[3]], views=10)
    world.traffic([1], [WEEK[6]], views=100)
    world.select(1)
    world.build(WEEK[0])
    estimates = {request.day: request.estimate for request in world.evaluate().decision.requests}
    large, small = estimates[WEEK[6]], estimates[WEEK[3]]
    assert large is not None
    assert small is not None
    assert (large.source_rows, small.source_rows) == (100, 10)
    assert large.seconds == pytest.approx((small.seconds or 0) * 10)
    assert large.seconds
    tags = {request.partition_key: request.tags[f"{TAG_PREFIX}estimate"] for request in world.tick().requests}
    assert tags == {str(WEEK[3]): str(small), str(WEEK[6]): str(large)}


@embedded_at_night
def test_what_an_older_logic_version_built_is_reported_and_rebuilt_when_told_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = WEEK[-3:]
    world.traffic([1, 2], days)
    world.select(1, 2)
    world.built(*days)
    newer = tuple(replace(table, logic_version=2) for table in WEB_TABLES)

    def found(trigger: Trigger) -> Evaluation:
        work = partial(evaluate, world.instance, world.settings, newer, trigger, lambda w: w(world.client))
        return work(now=utc_now())

    seen = found(Trigger.SCHEDULE)
    assert seen.detection.wrong == ()
    assert sum(seen.detection.outdated.values()) == 2 * 2 * len(days)
    assert seen.decision.requests == ()
    assert "OUTDATED 12 (table, team, day)" in summary_text(seen.detection, seen.decision)
    assert symptom("built by an older logic version").search(summary_text(seen.detection, seen.decision))
    world.set(backfill_rebuild_outdated=1)
    assert found(Trigger.SENSOR).decision.requests == ()
    assert {request.day for request in found(Trigger.SCHEDULE).decision.requests} == set(days)
    monkeypatch.setattr("dags.tests.world.WEB_TABLES", newer)
    world.build(days[0])
    build(world.client, 1, day=days[1], tables=newer)
    left = found(Trigger.SCHEDULE)
    assert {request.day for request in left.decision.requests} == set(days[1:])
    frozen = {r.partition_key: r.run_config["ops"]["web_pre_aggregated"]["config"] for r in run_requests(left, "plan")}
    assert frozen[str(days[1])] == {"team_ids_by_table": {BOUNCES: [2], STATS: [2]}}
    assert frozen[str(days[2])] == {"team_ids_by_table": {BOUNCES: [1, 2], STATS: [1, 2]}}


def test_teams_below_the_volume_floor_are_left_and_it_is_said(world: World) -> None:
    world.traffic([1], WEEK, views=1)
    world.traffic([2], WEEK[:3], views=30)
    world.select(1, 2)
    world.set(backfill_min_volume=10)
    evaluation = world.evaluate()
    assert {request.day for request in evaluation.decision.requests} == set(WEEK[:3])
    assert {d.day for d in evaluation.decision.deferred if d.why is Why.FLOOR} == set(WEEK[3:])
    assert symptom("below the volume floor").search(evaluation.decision.words)
    assert "below the volume floor (fewer than 10, or of weight 0)" in evaluation.decision.words
    world.set(backfill_min_volume=0, team_weights="2:0")
    assert {v.unit.team_id for v in world.evaluate().detection.wrong} == {1, 2}
    assert {request.teams for request in world.evaluate().decision.requests} == {1}
    world.set(team_weights="1:0,2:0")
    assert world.evaluate().decision.requests == ()


def test_the_order_of_repair_is_a_setting(world: World) -> None:
    world.traffic([1], WEEK)
    world.traffic([1], [WEEK[2]], session="more", views=50)
    world.select(1)
    world.set(backfill_max_partitions_per_run=1)
    newest_first = world.evaluate().decision
    assert [request.day for request in newest_first.requests] == [WEEK[-1]]
    assert symptom("over the cap of this tick").search(newest_first.words)
    world.set(backfill_priority="volume")
    assert [request.day for request in world.evaluate().decision.requests] == [WEEK[2]]
    world.built(WEEK[0], *WEEK[5:])
    world.set(backfill_priority="interior")
    lose(world, STATS, WEEK[6])
    wrong = world.evaluate().detection.wrong
    assert {v.unit.day for v in wrong if v.is_interior} == set(WEEK[1:5])


def test_a_team_that_cannot_be_built_is_named_with_its_error_and_blocks_nobody(world: World) -> None:
    days = WEEK[-2:]
    events = [event for team in (1, 2, 3) for event in world.traffic([team], days)]
    world.select(1, 2, 3)
    break_team(world.client, 2)
    try:
        asked = world.tick()
        with pytest.raises(Failure, match=r"1 of 3 teams could not be built.* Team 2: .*bad") as failed:
            world.carry_out(asked)
        assert symptom("… teams could not be built, readers see their old rows").search(str(failed.value))
        for request in asked.requests[1:]:
            world.loop.run(
                "web_pre_aggregate_job",
                partition_key=request.partition_key,
                run_config=request.run_config,
                tags=dict(request.tags),
                raise_on_error=False,
            )
        others = [event for event in events if event.team_id != 2]
        for day in days:
            assert stored(world.client, STATS, day) == fold(others, day, STATS) != {}
        found = world.evaluate()
        assert {(v.unit.team_id, v.cause) for v in found.detection.wrong} == {(2, Cause.BUILD_FAILED)}
        assert all("bad data" in v.detail for v in found.detection.wrong)
        assert found.decision.requests == ()
        report = " ".join(summary_text(found.detection, found.decision).split())
        assert f"FAILED team 2, {days[0]}, {BOUNCES} and 3 more: run " in report
        assert "bad data" in report
        lose(world, STATS, days[-1])
        later = world.evaluate(after=timedelta(hours=7)).decision
        assert {request.day: request.teams_by_table[STATS] for request in later.requests}[days[-1]] == (1, 2, 3)
    finally:
        mended(world.client)


def test_backfills_that_a_person_stopped_launch_nothing_and_build_nothing_until_they_go_on(world: World) -> None:
    events = world.traffic([1], WEEK[-2:])
    world.select(1)
    queued = world.tick().requests
    who = {"reason": "the cluster is short of disk", "requested_by": "ada"}
    world.run_as_configured("stop_all_backfills_job", who)
    stopped = world.tick()
    assert stopped.requests == ()
    assert symptom("backfills are stopped").search(stopped.skip_message)
    assert "backfills are stopped by ada at" in stopped.skip_message
    assert "the cluster is short of disk" in stopped.skip_message
    with pytest.raises(Failure, match="nothing was built: backfills are stopped by ada"):
        world.carry_out(Tick(tuple(queued), ""))
    assert stored(world.client, STATS, WEEK[-1]) == {}
    # A person's own build goes on, and so does the daily one.
    world.loop.run("web_pre_aggregate_job", partition_key=str(WEEK[-1]))
    assert stored(world.client, STATS, WEEK[-1]) == fold(events, WEEK[-1], STATS) != {}
    world.run_as_configured(*cure("backfills are stopped", "resume_all_backfills_job", **who))
    again = world.evaluate(after=timedelta(hours=7))
    assert "backfills are stopped" not in again.decision.words
    assert [request.day for request in again.decision.requests] == [WEEK[-2]]


def test_what_a_person_executes_again_is_a_persons_run_and_what_dagster_retries_is_not(world: World) -> None:
    day = WEEK[-1]
    events = world.traffic([1], [day])
    world.select(1)
    world.set(backfill_min_missing_partitions=1)
    [request] = world.tick().requests
    world.run_as_configured("stop_all_backfills_job", {"reason": "a storm", "requested_by": "ada"})
    # Both carry the tags of the run before them; Dagster numbers what it retries itself.
    tags = {**request.tags, PARENT_RUN_ID_TAG: "the first", ROOT_RUN_ID_TAG: "the first"}
    options: dict[str, Any] = {"partition_key": str(day), "run_config": request.run_config}
    with pytest.raises(Failure, match="nothing was built: backfills are stopped by ada"):
        world.loop.run("web_pre_aggregate_job", tags={**tags, RETRY_NUMBER_TAG: "1"}, **options)
    world.loop.run("web_pre_aggregate_job", tags=tags, **options)
    assert stored(world.client, STATS, day) == fold(events, day, STATS) != {}
    assert read_works(world.client, kinds=["automatic"]) == ()
    runs = runs_of(world.instance, {STATS: "web_pre_aggregate_job"}, [day], utc_now())
    assert [(run.state, run.is_automatic) for run in sorted(runs, key=lambda run: run.created_at)] == [
        (RunState.FAILED, True), (RunState.SUCCEEDED, False),
    ]  # fmt: skip


def test_a_run_of_which_nothing_was_built_materializes_nothing(world: World) -> None:
    world.set(build_max_rows_read=1)
    world.traffic([1], WEEK[-1:])
    world.select(1)
    run = world.loop.run("web_pre_aggregate_job", partition_key=str(WEEK[-1]), raise_on_error=False)
    assert not run.success
    assert run.asset_materializations_for_node("web_pre_aggregated") == []
    world.set(build_max_rows_read=1000)
    again = world.loop.run("web_pre_aggregate_job", partition_key=str(WEEK[-1]))
    assert len(again.asset_materializations_for_node("web_pre_aggregated")) == 2


def test_the_switch_needs_a_name_and_a_reason(world: World) -> None:
    with pytest.raises(UserError, match=r"reason is empty: .*\nrequested_by is empty"):
        world.run_as_configured("stop_all_backfills_job", {"reason": " ", "requested_by": ""})


def test_a_day_that_is_lost_after_its_repair_is_repaired_at_the_next_tick_and_lost_again_it_backs_off(
    world: World,
) -> None:
    world.traffic([1], WEEK[:1])
    world.select(1)
    world.set(backfill_min_missing_partitions=1)
    world.carry_out(world.tick())
    for reasons in ("never built: 2", "rows lost: 2"):
        lose(world, STATS, WEEK[0])
        lose(world, BOUNCES, WEEK[0])
        [run] = world.instance.get_runs(limit=1)
        assert run.tags["web_analytics_backfill/reasons"] == reasons
        if reasons == "never built: 2":
            world.carry_out(world.tick())
    assert "backing off (1 attempt left 2 units wrong, next from" in world.tick().skip_message


def test_the_setting_stops_backfills_too(world: World) -> None:
    world.traffic([1], WEEK)
    world.select(1)
    world.set(backfill_stopped=1)
    assert "stopped by the setting WEB_ANALYTICS_BACKFILL_STOPPED=1" in world.tick().skip_message


def test_a_backfill_gives_way_to_the_daily_build_in_the_queue(world: World) -> None:
    world.traffic([1], WEEK)
    world.select(1)
    assert {request.tags["dagster/priority"] for request in world.tick().requests} == {"-1"}
    job = defs.resolve_job_def("web_pre_aggregate_job")
    assert "dagster/priority" not in job.tags
    assert float(job.tags["dagster/max_runtime"]) > 0


@both_by_day
def test_a_day_that_another_instance_builds_is_deferred_and_the_run_is_named(world: World) -> None:
    world.traffic([1], WEEK)
    world.select(1)
    with Leases(world.client, "4711abcd-elsewhere", wait_seconds=0, tell=lambda _: None) as elsewhere:
        elsewhere.take(STATS, WEEK[-1])
        decision = world.evaluate().decision
    assert WEEK[-1] not in {request.day for request in decision.requests}
    assert f"{WEEK[-1]}: in flight (run 4711abcd)" in decision.words
    assert symptom("in flight (run …)").search(decision.words)


@embedded_at_night
def test_a_run_that_died_is_a_failed_attempt_though_dagster_takes_it_for_running(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.traffic([1], WEEK[-2:])
    world.select(1)
    run_id = world.queue(WEEK[-1], DagsterRunStatus.STARTED)
    with Leases(world.client, run_id, wait_seconds=0, tell=lambda _: None) as lease:
        lease.take(STATS, WEEK[-1])
        assert "in flight" in world.evaluate().decision.words
        monkeypatch.setattr(Lease, "is_dead", lambda *_, **__: True)
        words = world.evaluate().decision.words
        assert f"{WEEK[-1]}: backing off" in words
        assert symptom("backing off").search(words)
        [held] = read_leases(world.client)
        silent = replace(held, silent_seconds=timedelta(hours=7).total_seconds())
        monkeypatch.setattr("dags.detection.store.read_leases", lambda _: (silent,))
        assert WEEK[-1] in {r.day for r in world.evaluate(after=timedelta(hours=7)).decision.requests}
