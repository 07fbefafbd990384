"""A run of many teams names its plan, which has them; what a plan asked for is kept, or its run touches nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from dagster import DagsterRunStatus

from dags.domain.errors import BuildError
from dags.repair.decision import Why
from dags.repair.requests.rules import teams_of_plan
from dags.repair.requests.store import freeze, frozen_teams
from dags.tests.fold import stored
from dags.tests.runbook import symptom
from dags.tests.variants import at_night, server_at_night
from dags.tests.world import BOUNCES, STATS, ago
from dags.web_preaggregated_backfill import evaluation

if TYPE_CHECKING:
    from dags.tests.world import World

pytestmark = server_at_night

DAYS = [ago(days) for days in (4, 3, 2)]
TABLES = (BOUNCES, STATS)


@pytest.fixture
def lost(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Four teams: two are lost on every day, and on the last all four of one table. A few ids are too many to name."""
    monkeypatch.setattr(evaluation, "CONFIG_CHARACTERS", 6)
    world.traffic([1, 2, 3, 4], DAYS)
    world.select(1, 2, 3, 4)
    world.built(*DAYS)
    for table in TABLES:
        world.client.command(f"DELETE FROM {table} WHERE team_id IN (2, 3)")
    world.client.command(f"DELETE FROM {STATS} WHERE toDate(period_bucket) = '{DAYS[2]}'")
    return world


def test_a_run_of_many_teams_names_its_plan_and_rebuilds_what_the_plan_asked_for(lost: World) -> None:
    before = {table: stored(lost.client, table) for table in TABLES}
    asked = lost.tick()
    configs = {r.partition_key: r.run_config["ops"]["web_pre_aggregated"]["config"] for r in asked.requests}
    [plan] = {config["plan_id"] for config in configs.values()}
    assert configs == {str(day): {"plan_id": plan} for day in DAYS}
    assert plan == asked.requests[0].tags["web_analytics_backfill/plan"]
    kept = frozen_teams(lost.client, {(plan, day) for day in DAYS})
    assert {day: teams for (_, day), teams in kept.items()} == {
        **{day: dict.fromkeys(TABLES, frozenset({2, 3})) for day in DAYS[:2]},
        DAYS[2]: {BOUNCES: frozenset({2, 3}), STATS: frozenset({1, 2, 3, 4})},
    }
    lost.carry_out(asked)
    assert lost.evaluate().detection.wrong == ()
    after = {table: stored(lost.client, table) for table in TABLES}
    assert after != before
    rebuilt = lost.client.query(
        "SELECT day, table_name, groupUniqArray(team_id) FROM web_pre_aggregated_builds "
        "WHERE outcome = 'built' AND run_id != 'by-hand' GROUP BY ALL"
    ).result_rows
    assert {(day, table): set(teams) for day, table, teams in rebuilt} == {
        (day, table): set(teams) for (_, day), by_table in kept.items() for table, teams in by_table.items()
    }


@at_night
def test_where_all_enabled_teams_are_meant_a_configuration_names_none(lost: World) -> None:
    for table in TABLES:
        lost.client.command(f"TRUNCATE TABLE {table} SYNC")
    asked = lost.tick()
    assert [r.run_config["ops"]["web_pre_aggregated"]["config"] for r in asked.requests] == [{}] * len(DAYS)
    lost.carry_out(asked)
    assert lost.evaluate().detection.wrong == ()


def test_without_its_plan_a_run_says_so_and_touches_nothing(lost: World) -> None:
    asked = lost.tick()
    lost.client.command("TRUNCATE TABLE web_pre_aggregated_requests")
    before = {table: stored(lost.client, table) for table in TABLES}
    with pytest.raises(BuildError, match=symptom("which teams of … is not known")):
        lost.carry_out(asked)
    assert {table: stored(lost.client, table) for table in TABLES} == before
    left = lost.client.query("SHOW TABLES LIKE '%staging%'").result_rows
    assert left == []


def test_a_run_that_failed_is_an_attempt_at_its_plans_teams_and_at_no_other(
    lost: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the plan back off, and one that is lost later does not; when the plan is gone, all do."""
    day = DAYS[1]
    freeze(lost.client, "plan", {(table, day): (2, 3) for table in TABLES})
    config = {"ops": {"web_pre_aggregated": {"config": {"plan_id": "plan"}}}}
    with monkeypatch.context() as fault:

        def give_out(*_: object) -> None:
            raise BuildError("nothing works")

        fault.setattr("dags.publish.build._Attempt._read_source", give_out)
        lost.loop.run("web_pre_aggregate_job", partition_key=day.isoformat(), run_config=config, raise_on_error=False)
    [run] = lost.instance.get_runs(limit=1)
    assert run.status is DagsterRunStatus.FAILURE
    lost.client.command(f"DELETE FROM {BOUNCES} WHERE team_id = 4 AND toDate(period_bucket) = '{day}'")
    found = lost.evaluate()
    assert {r.day: r.teams_by_table for r in found.decision.requests}[day] == {BOUNCES: (4,)}
    assert day in {d.day for d in found.decision.deferred if d.why is Why.BACKING_OFF}
    lost.client.command("TRUNCATE TABLE web_pre_aggregated_requests")
    assert day not in {r.day for r in lost.evaluate().decision.requests}


@pytest.mark.parametrize(
    ("frozen", "others", "says"),
    [
        ({}, (), "which teams of bounces, stats plan 'p' asked for on 2"),
        ({"stats": frozenset({1})}, (), "which teams of bounces plan 'p'"),
        ({"stats": frozenset({1}), "bounces": frozenset({1})}, ([7], {}), "give one of the two"),
    ],
    ids=["no such plan", "not for one of the tables", "teams are named besides"],
)
def test_a_plan_that_does_not_say_whom_to_build_is_refused(
    frozen: dict[str, frozenset[int]], others: tuple[object, ...], says: str
) -> None:
    with pytest.raises(BuildError, match=says):
        teams_of_plan(("bounces", "stats"), "p", DAYS[0], frozen, others)


def test_a_configuration_stays_short_whatever_the_number_of_teams() -> None:
    many = tuple(range(10**9, 10**9 + 20_000))
    for teams in (many[:600], many[:800], many[:-1], many):
        config = evaluation._op_config({STATS: teams, BOUNCES: many[:1]}, len(many), "sensor-20260101T000000")
        assert len(json.dumps(config)) < 10_000
        assert ("plan_id" in config) == (600 < len(teams) < len(many))
    assert evaluation._op_config({STATS: many, BOUNCES: many[:1]}, len(many), "") == {
        "team_ids_by_table": {BOUNCES: [many[0]]}
    }
