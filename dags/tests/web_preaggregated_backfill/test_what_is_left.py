"""What a verdict in Dagster's catalog says of itself, what it keeps of the ones before it, and which one stays."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from dagster import AssetCheckKey, AssetKey, AssetMaterialization
from sqlalchemy.exc import OperationalError

from dags.clickhouse import engine
from dags.dagster_runs.resource import ClickHouseResource
from dags.definitions import WATCHED
from dags.domain import clock
from dags.domain.errors import EngineBusyError, EngineError
from dags.settings import current_settings
from dags.tests.runbook import symptom
from dags.tests.variants import at_night, server_at_night
from dags.tests.web_preaggregated_backfill.test_what_is_shown import WHO, checks, detector, lose
from dags.tests.world import BOUNCES, STATS, ago
from dags.web_preaggregated_backfill import catalog
from dags.web_preaggregated_backfill.evaluation import evaluate_in_run
from dags.web_preaggregated_backfill.last_verdict import DETECTOR
from dags.web_preaggregated_backfill.own_checks import CHECK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from dags.tests.world import World

pytestmark = server_at_night

DAYS = [ago(n) for n in range(1, 9)]


def of_check(world: World, table: str = STATS) -> dict[str, Any]:
    """The metadata of the last result of a table's check."""
    key = AssetCheckKey(AssetKey(table), "complete")
    [record] = world.instance.event_log_storage.get_latest_asset_check_execution_by_key([key]).values()
    event = record.event
    assert event is not None
    assert event.dagster_event is not None
    return {name: entry.value for name, entry in event.dagster_event.asset_check_evaluation_data.metadata.items()}


@contextmanager
def asked_about(dsn: str) -> Iterator[None]:
    """Another ClickHouse is asked, by the same Dagster."""
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setenv("CLICKHOUSE_DSN", dsn)
        current_settings.cache_clear()
        yield
    current_settings.cache_clear()


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Dagster's event log takes nothing that comes from no run; what runs say of themselves, it takes."""
    error = OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked"))
    with mock.patch.object(type(world.instance), "report_runless_asset_event", side_effect=error):
        yield


NOWHERE = "clickhouse://u:secret@127.0.0.1:1/x"


def test_an_unreachable_moment_ends_no_backfill_that_has_begun(world: World) -> None:
    world.traffic([1], DAYS)
    world.select(1)
    assert len(world.tick().requests) == 7
    left = str(DAYS[7])
    begun = detector(world)["open_backfill_days"]
    assert left in begun
    world.built(*DAYS[:7])
    with asked_about(NOWHERE), pytest.raises(EngineError):
        world.missing_data()
    world.missing_data()  # of this database: it was not the one that gave out
    assert detector(world)["open_backfill_days"] == begun
    # In the middle of it, and what was left by a person in the UI, or by a version that did not say it.
    with mock.patch.object(engine, "_use_database", side_effect=EngineError("gone")), pytest.raises(EngineError):
        world.missing_data()
    assert detector(world)["status"].startswith("UNKNOWN: gone")
    assert detector(world)["open_backfill_days"] == begun
    world.instance.report_runless_asset_event(AssetMaterialization(DETECTOR))
    assert [request.partition_key for request in world.tick().requests] == [left]


@at_night
def test_an_older_reading_that_is_left_later_takes_no_newer_ones_place(world: World) -> None:
    world.traffic([1], DAYS[:3])
    world.select(1)
    world.built(*DAYS[:3])
    clickhouse = ClickHouseResource()
    older = evaluate_in_run(world.instance, clickhouse, WATCHED, "older")
    lose(world, DAYS[0])
    newer = evaluate_in_run(world.instance, clickhouse, WATCHED, "newer")
    catalog.leave(world.instance, newer)
    catalog.leave(world.instance, older)
    assert detector(world)["wrong_units"] == 1
    assert checks(world) == {STATS: False, BOUNCES: True}
    # Of a run's own check, which Dagster writes whatever came first, the question is asked once more.
    with mock.patch.object(catalog, "evaluate_in_run", side_effect=[older, newer]):
        world.run_checks()
    assert checks(world) == {STATS: False, BOUNCES: True}
    # What was read when nothing else had been left is newer, though ClickHouse's clock was set back.
    world.built(DAYS[0])
    found = evaluate_in_run(world.instance, clickhouse, WATCHED, "set back")
    assert found.detection.server_at is not None
    back = found.detection.server_at - timedelta(days=2)
    catalog.leave(world.instance, replace(found, detection=replace(found.detection, server_at=back)))
    assert checks(world) == {STATS: True, BOUNCES: True}
    # A tick that was overtaken launches what it decided all the same: what that leaves open is kept.
    world.set(backfill_min_missing_partitions=1, backfill_max_partitions_per_run=1)
    for day in DAYS[:2]:
        lose(world, day)
    tick = world.evaluate()
    assert tick.begun == set(DAYS[:2])
    lose(world, DAYS[2])
    world.missing_data()
    catalog.leave(world.instance, tick)
    assert detector(world)["wrong_units"] == 3
    assert detector(world)["open_backfill_days"] == sorted(map(str, DAYS[:2]))


def test_a_verdict_names_its_database_and_its_warnings(world: World) -> None:
    world.traffic([1], DAYS[:3])
    world.select(1)
    world.built(*DAYS[:3])
    lose(world, DAYS[0])
    world.missing_data()
    own = str(world.settings.clickhouse_dsn)
    assert detector(world)["database"] == of_check(world)["database"] == own
    assert "database" not in detector(world)["status"]
    assert of_check(world)["warnings"] == []
    # By a host that is three days behind the hole is not judged: its verdict, which is green, says why.
    with mock.patch.object(clock, "utc_now", return_value=clock.utc_now() - timedelta(days=3)):
        world.missing_data()
    assert checks(world) == {STATS: True, BOUNCES: True}
    assert "clock" in of_check(world)["warnings"][0]
    # The other database, of the same Dagster: what is shown then says that it is not of the one before.
    with asked_about(NOWHERE), pytest.raises(EngineError):
        world.missing_data()
    for said in (detector(world), of_check(world)):
        assert said["database"] == "clickhouse://u@127.0.0.1:1/x"
        assert symptom("the verdict before it is of another database").search(said["status"])
        assert said["status"].endswith(
            f". Of clickhouse://u@127.0.0.1:1/x; the verdict before it is of another database, {own}"
        )
    world.missing_data()
    assert of_check(world)["status"].endswith("another database, clickhouse://u@127.0.0.1:1/x")
    world.missing_data()
    assert "database" not in of_check(world)["status"]


def test_whatever_keeps_the_question_from_being_asked_is_unknown_but_an_engine_in_use_is_no_news(
    world: World,
) -> None:
    world.traffic([1], DAYS[:2])
    world.select(1)
    world.built(*DAYS[:2])
    world.missing_data()
    busy = mock.patch.object(engine, "_use_database", side_effect=EngineBusyError("in use by another process"))
    with busy, pytest.raises(EngineBusyError):
        world.missing_data()
    assert checks(world) == {STATS: True, BOUNCES: True}
    world.client.command("RENAME TABLE web_pre_aggregated_builds TO builds_elsewhere")
    try:
        with pytest.raises(Exception, match="web_pre_aggregated_builds"):
            world.missing_data()
    finally:
        world.client.command("RENAME TABLE builds_elsewhere TO web_pre_aggregated_builds")
    assert detector(world)["status"].startswith("UNKNOWN: ")
    assert checks(world) == {STATS: False, BOUNCES: False}


def test_a_locked_event_log_keeps_no_answer_back_and_fails_no_change(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.traffic([1], DAYS[:2])
    world.select(1)
    world.built(*DAYS[:2])
    world.missing_data()
    capsys.readouterr()
    waiver = {"first_day": str(DAYS[0]), "last_day": str(DAYS[0]), "team_ids": [1], "table": "", **WHO}
    with locked(world):
        world.run_as_configured("check_missing_data_job", {"output": "json"})
        printed = capsys.readouterr()
        assert json.loads(printed.out)["is_complete"]  # one line, and nothing else there
        assert "WARNING  what is so now is not shown in the UI" in printed.err
        assert "database is locked" in printed.err
        world.run_as_configured("health_job", raise_on_error=False)
        printed = capsys.readouterr()
        assert "succeeded in seven days" in printed.out
        assert printed.err.count("WARNING  what is so now is not shown in the UI") == 1
        world.run_as_configured("waive_job", {**waiver, "valid_until": str(ago(-9))})
        said = " ".join(capsys.readouterr().out.split())
        assert said.index("SET waiver-") < said.index("VERDICT COMPLETE") < said.index("is not shown in the UI")
        assert world.loop.run("web_pre_aggregate_job", partition_key=str(DAYS[0])).success
    assert len(world.instance.fetch_materializations(DETECTOR, limit=9).records) == 1


def test_why_reads_a_day_before_the_look_back_and_calls_no_day_fine_that_is_not_judged(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    old, today = ago(40), ago(0)
    world.traffic([1], [old, DAYS[0]])
    world.select(1)
    world.built(old, DAYS[0])

    def why(day: date) -> str:
        capsys.readouterr()
        world.run_as_configured("why_job", {"day": str(day)})
        printed = capsys.readouterr().out
        assert max(map(len, printed.splitlines())) <= 100
        return " ".join(printed.split())

    fine = why(old)
    assert fine.startswith(f"COMPLETE: 2 (table, team, day) hold their source. 1 team, 1 day ({old}")
    assert "GAPS none here" in fine
    lose(world, old)
    lost = why(old)
    assert lost.startswith("NOT COMPLETE: 1 (table, team, day) are missing or wrong.")
    assert f"DAY {old} is a valid partition key; it lies before the look-back" in lost
    assert f"GAP team 1, {STATS}, {old}: missing, rows lost, tables disagree" in lost
    assert "DECISION none: no trigger acts on a day before the look-back next: build it by the command below" in lost
    assert "nothing to repair" not in lost
    world.build_fails(old)
    assert re.search(rf"RUN \S+ of {old}: failed", why(old))
    # It is no business of the verdict, which is of the look-back.
    assert detector(world)["status"].startswith("COMPLETE: 2 (table, team, day) hold their source. 1 team, 30 days")
    unsettled = why(today)
    assert symptom("NOT JUDGED YET").match(unsettled)
    assert unsettled.startswith(f"NOT JUDGED YET: {today}. COMPLETE: 2")
    assert "GAPS not judged yet, so none is known of" in unsettled
    with asked_about(NOWHERE), pytest.raises(EngineError):
        why(old)


def test_a_run_that_a_tick_asks_for_checks_its_tables_and_nothing_of_the_whole(world: World) -> None:
    world.traffic([1], [ago(1), ago(2), ago(3)])
    world.select(1)
    ran = world.loop.rebuild(world.tick().requests[0])
    checked = [(one.asset_key.to_user_string(), one.check_name) for one in ran.get_asset_check_evaluations()]
    assert sorted(checked) == [(BOUNCES, CHECK), (STATS, CHECK)]
