"""Whatever is launched or reported, detection goes on: what cannot be read is a run of all teams, and no exception."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from clickhouse_connect.driver.exceptions import OperationalError
from dagster import AssetMaterialization, DagsterRun, DagsterRunStatus, MetadataValue

from dags.domain.days import FIRST_DAY, LAST_DAY, ONE_DAY, DayRange
from dags.domain.errors import UserError
from dags.repair.asked import asked_days, asked_plan, asked_teams, days_listed
from dags.tests.variants import server_at_night
from dags.tests.world import STATS, ago
from dags.web_preaggregated_backfill import evaluation
from dags.web_preaggregated_backfill.building import BuildConfig
from dags.web_preaggregated_backfill.last_verdict import DETECTOR

if TYPE_CHECKING:
    from dags.tests.world import World

DAYS = [ago(days) for days in (4, 3, 2)]


def of_op(**config: object) -> dict[str, Any]:
    return {"ops": {"web_pre_aggregated": {"config": config}}}


@pytest.mark.parametrize(
    "config",
    [
        None, [], {"ops": None}, {"ops": ["x"]}, {"ops": {"a": None}}, {"ops": {"a": {"config": None}}},
        {"ops": {"a": {"config": "x"}}}, of_op(team_ids_by_table=None), of_op(team_ids_by_table="x"),
        of_op(team_ids_by_table={"stats": None}), of_op(team_ids_by_table={"stats": ["x"]}),
        of_op(team_ids=None), of_op(team_ids=7), of_op(team_ids=[[1]]), of_op(plan_id=None), of_op(plan_id=7),
        of_op(plan_id="x" * 140_000), of_op(plan_id="\ud800"), of_op(plan_id="a b"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_read_is_of_all_teams_and_of_no_plan(config: object) -> None:
    assert asked_teams(config, ("stats", "bounces")) == {}
    assert asked_plan(config) == ""


def test_a_configuration_names_teams_by_table_or_for_all_or_a_plan() -> None:
    both = of_op(team_ids=[1, 2], team_ids_by_table={"stats": [3], "another": [4]})
    assert asked_teams(both, ("stats", "bounces")) == {"stats": frozenset({3}), "bounces": frozenset({1, 2})}
    assert asked_plan(of_op(plan_id="sensor-20260101T000000")) == "sensor-20260101T000000"


def test_days_are_those_that_a_partition_can_have() -> None:
    day = date(2026, 1, 10)
    assert asked_days("2026-01-10", "2026-01-11") == DayRange(day, date(2026, 1, 12))
    assert asked_days("0001-01-01", "9999-12-31") == DayRange(FIRST_DAY, LAST_DAY + ONE_DAY)
    assert [tuple(asked_days(*keys)) for keys in (("", ""), ("tomorrow", "x"), ("9999-12-31", "9999-12-31"))] == [
        ()
    ] * 3
    for value in (None, "tomorrow", 7, {"a": 1}, [None, "tomorrow", 7, "9999-12-31"]):
        assert days_listed(value) == frozenset()
    assert days_listed(["tomorrow", "2026-01-10"]) == {day}


def failed(world: World, day: date, config: dict[str, Any]) -> None:
    """A run of a day, as Dagster keeps one that failed for its configuration."""
    tags = {"dagster/partition": day.isoformat()}
    run = DagsterRun("web_pre_aggregate_job", run_config=config, tags=tags, status=DagsterRunStatus.FAILURE)
    world.instance.add_run(run)


@server_at_night
def test_no_launch_and_no_report_ends_detection_and_a_fault_on_the_way_is_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.traffic([1, 2], DAYS)
    world.select(1, 2)
    hostile = (of_op(team_ids_by_table=None), of_op(plan_id="x" * 140_000), of_op(plan_id="\ud800"))
    for day, config in zip(DAYS, hostile, strict=True):
        failed(world, day, config)
    reports: tuple[Any, ...] = (["tomorrow"], {"a": 1}, None, ["9999-12-31"])
    for days in reports:
        reported = AssetMaterialization(DETECTOR, metadata={"open_backfill_days": MetadataValue.json(days)})
        world.instance.report_runless_asset_event(reported)
        found = world.evaluate()
        assert not found.is_unknown
        assert {deferred.day: deferred.why for deferred in found.decision.deferred}.keys() == set(DAYS)
        assert found.decision.requests == ()

    def refused(*_: object, **__: object) -> None:
        raise OperationalError("the network is down")

    failed(world, DAYS[0], of_op(plan_id="sensor-20260101T000000"))
    monkeypatch.setattr(evaluation, "frozen_teams", refused)
    unknown = world.evaluate()
    assert unknown.detection.unknown[STATS] == "the network is down"
    assert unknown.decision.requests == ()


def test_a_build_of_a_plan_that_can_be_none_is_refused_in_words() -> None:
    assert BuildConfig(plan_id="sensor-20260101T000000").plan_id
    for plan in ("x" * 140_000, "\ud800", "a b"):
        with pytest.raises(UserError, match=r"or some that no plan's has: give one as a run's tag"):
            BuildConfig(plan_id=plan).refuse_unusable()
