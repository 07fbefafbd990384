"""Sources that shrank: managed backfills leave to a person what detection leaves to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dags.detection.rules import Kind
from dags.managed_backfill.execution import Backfill
from dags.repair.decision import Trigger, Why
from dags.tests.events import Event, insert
from dags.tests.fold import fold, stored
from dags.tests.managed_backfill import asked
from dags.tests.managed_backfill.test_taking_back import rollback
from dags.tests.runbook import cure, symptom
from dags.tests.variants import at_night, server_at_night
from dags.tests.world import BOUNCES, STATS, ago, noon

if TYPE_CHECKING:
    from datetime import date

    from dags.tests.world import World
    from dags.work.runner import AtWork

pytestmark = server_at_night

# Closed days, on which a source that moved means something; then one that is open still.
SOME_LOST, MOST_LOST, WHOLE = (ago(n) for n in (5, 4, 3))
OPEN = ago(1)
DAYS = [SOME_LOST, MOST_LOST, WHOLE]
SPAN = {"start_date": str(DAYS[0]), "end_date": str(DAYS[-1])}
SESSIONS = 10


def run(world: World, **given: Any) -> Any:
    config = asked(**{**SPAN, "dry_run": False, "chunk_size_days": 1, **given})
    return world.run_as_configured("managed_backfill_job", config).output_for_node("managed_backfill")


def plan_of(world: World, **given: Any) -> Any:
    return yaml.safe_load(run(world, dry_run=True, **given)["plan"])


def lose(world: World, events: list[Event], day: date, sessions: int) -> list[Event]:
    """The source loses so many sessions of team 1's day; what is left of all."""
    gone = {f"{number}-{day}" for number in range(sessions)}
    world.client.command(
        f"DELETE FROM events WHERE team_id = 1 AND session_id IN ({', '.join(repr(one) for one in sorted(gone))})"
    )
    return [event for event in events if event.team_id != 1 or event.session_id not in gone]


def built(world: World, days: list[date]) -> list[Event]:
    events = [
        Event(team, noon(day, minute), f"{number}-{day}", pathname=f"/{minute}")
        for team in (1, 2)
        for day in days
        for number in range(SESSIONS)
        for minute in range(2)
    ]
    insert(world.client, events)
    world.select(1, 2)
    world.built(*days)
    return events


def tables(world: World, days: list[date]) -> dict[tuple[str, date], Any]:
    return {(table, day): stored(world.client, table, day) for table in (STATS, BOUNCES) for day in days}


@pytest.fixture
def shrunk(world: World) -> World:
    left = built(world, DAYS)
    for day, sessions in ((SOME_LOST, 3), (MOST_LOST, 6)):
        left = lose(world, left, day, sessions)
    world.left = left  # type: ignore[attr-defined]
    return world


def test_units_whose_source_shrank_are_named_in_the_plan_and_kept_by_default(
    shrunk: World, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tables(shrunk, DAYS)
    for kind in ("full_reload", "incremental", "point_in_time_correction"):
        plan = plan_of(shrunk, kind=kind, team_ids=[1, 2])
        assert {day: held["team_ids"] for day, held in plan["scope"]["held"].items()} == {
            str(SOME_LOST): [1],
            str(MOST_LOST): [1],
        }
        left = [{str(SOME_LOST): [2]}, {str(MOST_LOST): [2]}, {}]
        assert [chunk["team_ids_by_day"] for chunk in plan["chunks"]] == left
    text = " ".join(capsys.readouterr().out.split())
    assert symptom("HELD").search(text)
    assert f"HELD {SOME_LOST}: 1 team keeps its rows: team 1, source shrank: source 7 sessions" in text
    assert f"HELD {MOST_LOST}: 1 team keeps its rows: team 1, source shrank, held: source 4 sessions" in text
    report = run(shrunk)
    assert (report["status"], set(report["held"])) == ("completed", {str(SOME_LOST), str(MOST_LOST)})
    assert tables(shrunk, DAYS) == before
    assert (
        "held teams keep their rows"
        in shrunk.client.query(
            "SELECT argMax(detail, at) FROM web_analytics_backfill_events WHERE event = 'ended'"
        ).result_rows[0][0]
    )
    # Detection holds the same units, and launches nothing for them.
    decision = shrunk.evaluate(Trigger.SCHEDULE).decision
    assert not decision.requests


@at_night
def test_what_a_person_allows_is_published_and_what_is_handed_back_without_is_refused(shrunk: World) -> None:
    before = tables(shrunk, DAYS)
    assert "finds no unit to rebuild" in fails(shrunk, kind="gap_filling")
    allowing = plan_of(shrunk, allow_shrink=True)
    assert not allowing["scope"]["held"]
    allowing["strategy"]["allow_shrink"] = False
    refused = fails_with_plan(shrunk, yaml.safe_dump(allowing))
    assert f"chunks hold {SOME_LOST}, where 1 team keeps its rows: team 1, source shrank" in refused
    assert f"chunks hold {MOST_LOST}, where" in refused
    assert "strategy.allow_shrink: true" in refused
    assert tables(shrunk, DAYS) == before
    assert plan_of(shrunk, kind="gap_filling", allow_shrink=True)["scope"]["held"] == {}
    _, allowed = cure("HELD", "managed_backfill_job", allow_shrink=True)
    report = run(shrunk, **allowed)
    assert (report["status"], report["held"]) == ("completed", {})
    for day in DAYS:
        assert stored(shrunk.client, STATS, day) == fold(shrunk.left, day, STATS)  # type: ignore[attr-defined]


def test_a_source_that_shrinks_after_the_plan_or_on_an_open_day_is_held_by_the_build(world: World) -> None:
    days = [SOME_LOST, OPEN]
    events = built(world, days)
    before = tables(world, days)
    begin = Backfill.begin

    def loses(self: Backfill, at: AtWork) -> Any:
        for day, sessions in ((SOME_LOST, 3), (OPEN, 6)):
            lose(world, events, day, sessions)
        return begin(self, at)

    with world.monkeypatch.context() as losing:
        losing.setattr(Backfill, "begin", loses)
        report = run(world, end_date=str(OPEN), days=[str(day) for day in days])
    assert report["status"] == "completed"
    assert "team 1, source shrank: source 7 sessions" in report["held"][str(SOME_LOST)]
    assert "team 1, source shrank, held: source 4 sessions" in report["held"][str(OPEN)]
    assert tables(world, days) == before


def test_what_a_person_allowed_and_took_back_is_kept_until_it_is_allowed_again(shrunk: World) -> None:
    shrunk.set(backfill_min_missing_partitions=1)
    before = tables(shrunk, DAYS)
    for table in (STATS, BOUNCES):
        rollback(shrunk, run(shrunk, target_table=table, allow_shrink=True)["backfill_id"])
    shrunk.carry_out(shrunk.check())
    assert tables(shrunk, DAYS) == before
    found = shrunk.evaluate(Trigger.SCHEDULE)
    wrong = [one for one in found.detection.wrong.groups if one.day == SOME_LOST]
    assert {(one.kind, one.reason, one.awaits_permission) for one in wrong} == {(Kind.EXCESS, "rolled back", True)}
    assert {one.why for one in found.decision.deferred if one.day == SOME_LOST} == {Why.HELD}


@at_night
def test_excess_is_rebuilt_for_the_source_never_had_it(world: World) -> None:
    events = built(world, DAYS)
    twice = f"INSERT INTO {STATS} SELECT * REPLACE (concat(pathname, '/twice') AS pathname) FROM {STATS}"
    world.client.command(f"{twice} WHERE team_id = 1 AND toDate(period_bucket) = '{SOME_LOST}'")
    report = run(world)
    assert (report["status"], report["held"]) == ("completed", {})
    assert stored(world.client, STATS, SOME_LOST) == fold(events, SOME_LOST, STATS)


def fails(world: World, **given: Any) -> str:
    with pytest.raises(Exception) as failed:  # noqa: PT011 -- Dagster's Failure or ours; its words are looked at
        run(world, **given)
    return str(failed.value)


def fails_with_plan(world: World, plan: str) -> str:
    config = {**asked(plan=plan, dry_run=False), "target_table": "", "reason": "", "requested_by": ""}
    with pytest.raises(Exception) as failed:  # noqa: PT011 -- as above
        world.run_as_configured("managed_backfill_job", config)
    return str(failed.value)
