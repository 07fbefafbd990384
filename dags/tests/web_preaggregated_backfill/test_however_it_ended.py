"""What may have changed data, or what is expected of it, has that looked at, however it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dags.domain.errors import EngineError
from dags.publish.path import Publisher
from dags.tests.managed_backfill import asked
from dags.tests.variants import at_night, server_at_night
from dags.tests.web_preaggregated_backfill.test_what_is_left import NOWHERE, asked_about
from dags.tests.web_preaggregated_backfill.test_what_is_shown import WHO, checks, detector, lose
from dags.tests.world import BOUNCES, STATS, ago

if TYPE_CHECKING:
    from dags.tests.world import World

pytestmark = server_at_night

DAYS = [ago(n) for n in (5, 4, 3)]


def is_so(world: World) -> bool:
    """Whether the detector and the checks say of how many units what is found now; whether all is complete."""
    wrong = world.evaluate().detection.wrong
    tables = {one.table for one in wrong.groups}
    assert detector(world)["wrong_units"] == len(wrong)
    assert checks(world) == {table: table not in tables for table in (STATS, BOUNCES)}
    return not wrong


def test_a_list_of_teams_and_the_switch_of_all_backfills_change_the_verdict_at_once(world: World) -> None:
    world.traffic([1, 2], DAYS)
    world.select(1)
    world.built(*DAYS)
    world.missing_data()
    assert is_so(world)
    world.client.insert("web_analytics_enabled_teams", [[2]], column_names=["team_id"])
    world.loop.run("web_analytics_team_selection_job")
    assert detector(world)["teams"] == 2
    assert not is_so(world)
    assert detector(world)["should_backfill"]
    world.run_as_configured("stop_all_backfills_job", WHO)
    assert not detector(world)["should_backfill"]
    world.run_as_configured("resume_all_backfills_job", WHO)
    assert detector(world)["should_backfill"]


def test_a_build_that_raises_leaves_what_is_so_or_that_nothing_is_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.traffic([1], DAYS)
    world.select(1)
    world.built(*DAYS)
    for table in (STATS, BOUNCES):
        lose(world, DAYS[0], table)
    world.missing_data()
    assert detector(world)["wrong_units"] == 2
    published: list[Any] = []
    publish = Publisher.publish

    def ended_at_the_second(self: Publisher[Any], *rest: Any, **named: Any) -> int:
        if published:
            raise KeyboardInterrupt
        published.append(rest)
        return publish(self, *rest, **named)

    monkeypatch.setattr(Publisher, "publish", ended_at_the_second)
    with pytest.raises(BaseException):  # noqa: B017, PT011 -- as Dagster wraps it
        world.loop.run("web_pre_aggregate_job", partition_key=str(DAYS[0]))
    assert detector(world)["wrong_units"] == 1
    assert not is_so(world)
    world.built(DAYS[0])
    world.missing_data()
    assert is_so(world)
    with asked_about(NOWHERE), pytest.raises(EngineError):
        world.loop.run("web_pre_aggregate_job", partition_key=str(DAYS[0]))
    assert checks(world) == {STATS: False, BOUNCES: False}
    assert detector(world)["status"].startswith("UNKNOWN: no ClickHouse answers")


@at_night
def test_a_rollback_that_put_a_day_back_and_then_refused_is_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.set(backfill_lookback_days=4)
    world.traffic([1], DAYS)
    world.select(1)
    world.built(*DAYS)
    for day in DAYS[:2]:  # one of them before the look-back
        lose(world, day)
    span = {"start_date": str(DAYS[0]), "end_date": str(DAYS[1]), "dry_run": False}
    world.run_as_configured("managed_backfill_job", asked(**span))
    [(backfill_id,)] = world.client.query("SELECT backfill_id FROM backfill_log").result_rows
    assert is_so(world)
    empty = Publisher._empty

    def and_somebody_wrote(self: Publisher[Any], *rest: Any, **named: Any) -> None:
        empty(self, *rest, **named)
        world.client.command(f"INSERT INTO {STATS} (team_id, period_bucket) VALUES (1, '{self.day} 03:00:00')")

    capsys.readouterr()
    monkeypatch.setattr(Publisher, "_empty", and_somebody_wrote)
    with pytest.raises(Exception, match="is not wholly rolled back"):
        world.run_as_configured("rollback_backfill_job", {"backfill_id": backfill_id, **WHO})
    assert not is_so(world)
    assert "VERDICT  before the look-back: NOT COMPLETE" in capsys.readouterr().out
    # What refused before anything was touched has nothing looked at.
    with pytest.raises(Exception, match="begins so"):
        world.run_as_configured("rollback_backfill_job", {"backfill_id": "backfill-none", **WHO})
    assert "VERDICT" not in capsys.readouterr().out
