"""One truth: what a terminal, the detector, the standing checks and `backfill_log` say, after whatever happens."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from dagster import AssetCheckKey, AssetKey, AssetRecordsFilter

from dags.domain.errors import EngineError
from dags.publish.build import DayBuild
from dags.settings import current_settings
from dags.tests.fold import stored
from dags.tests.managed_backfill import asked
from dags.tests.variants import embedded_at_night
from dags.tests.world import BOUNCES, STATS, ago
from dags.web_preaggregated_backfill.last_verdict import DETECTOR
from dags.web_preaggregated_backfill.report import status_line

if TYPE_CHECKING:
    from datetime import date

    from dags.tests.world import World

pytestmark = embedded_at_night

DAYS = [ago(n) for n in (5, 4, 3)]
WHO = {"requested_by": "ada", "reason": "a bug"}


def lose(world: World, day: date, table: str = STATS) -> None:
    """Behind the product's back."""
    world.client.command(f"ALTER TABLE {table} DROP PARTITION {day:%Y%m%d}")


def checks(world: World) -> dict[str, bool]:
    keys = [AssetCheckKey(AssetKey(table), "complete") for table in (STATS, BOUNCES)]
    latest = world.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    return {key.asset_key.to_user_string(): latest[key].status.value == "SUCCEEDED" for key in keys}


def detector(world: World) -> dict[str, Any]:
    event = world.instance.get_latest_materialization_event(DETECTOR)
    assert event is not None
    assert event.asset_materialization is not None
    return {name: entry.value for name, entry in event.asset_materialization.metadata.items()}


def log(world: World) -> list[tuple[str, str]]:
    """Of each backfill its origin and status, the newest first."""
    return world.client.query("SELECT origin, status FROM backfill_log ORDER BY started_at DESC").result_rows  # type: ignore[return-value]


class Truth:
    """What is so by a detection that nobody sees, held against what everybody is shown."""

    def __init__(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self.capsys = capsys

    def after(self, job: str, wrong: int, **config: Any) -> str:
        """Run a command, then compare; what it printed."""
        self.capsys.readouterr()
        self.world.run_as_configured(job, config)
        printed = self.capsys.readouterr().out
        self.is_shown(wrong)
        said = " ".join(printed.split())
        if config.get("days_back") is None:  # it answers what was asked
            assert status_line(self.world.evaluate().detection) in said, printed
        return printed

    def is_shown(self, wrong: int) -> None:
        """In the detector and the checks; ``wrong``: so many units, all of them of the stats."""
        found = self.world.evaluate().detection
        assert len(found.wrong) == wrong
        shown = detector(self.world)
        assert (shown["status"], shown["wrong_units"]) == (status_line(found), wrong)
        assert checks(self.world) == {STATS: not wrong, BOUNCES: True}


def test_whoever_asks_leaves_the_verdict_where_it_is_seen_and_no_more_than_was_looked_at(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.traffic([1, 2], DAYS)
    world.select(1, 2)
    world.built(*DAYS)
    truth = Truth(world, capsys)
    asking: list[tuple[str, dict[str, Any]]] = [
        ("check_missing_data_job", {}),
        ("show_data_gaps_job", {"days_back": 2}),  # none of the days is among them
        ("show_data_gaps_job", {"days_back": 90}),
        ("why_job", {"team_id": 1}),
    ]
    for job, config in asking:
        lose(world, DAYS[0])
        said = truth.after(job, 2, **config) if job != "why_job" else ""
        if not said:
            world.run_as_configured(job, config)
            truth.is_shown(2)
        if config.get("days_back") == 2:
            assert re.match(r"COMPLETE: 0 .* 2 days", said)
        world.built(DAYS[0])
        world.run_as_configured(job, config)
        truth.is_shown(0)
    assert detector(world)["lookback_days"] == 30
    # A check that is run by itself, and the detector's own materialization.
    lose(world, DAYS[1])
    world.run_checks()
    truth.is_shown(2)
    world.built(DAYS[1])
    world.materialize("web_analytics_backfill_detector")
    truth.is_shown(0)
    # Days that were beyond the look-back are no business of the verdict, however far somebody looks.
    world.set(backfill_lookback_days=3)
    lose(world, DAYS[0])
    world.run_as_configured("show_data_gaps_job", {"days_back": 30})
    assert "NOT COMPLETE: 2" in capsys.readouterr().out
    truth.is_shown(0)


def test_where_no_clickhouse_answers_nothing_stays_green(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.traffic([1], DAYS)
    world.select(1)
    world.built(*DAYS)
    world.missing_data()
    assert checks(world) == {STATS: True, BOUNCES: True}
    with monkeypatch.context() as down:
        down.setenv("CLICKHOUSE_DSN", "clickhouse://u:secret@127.0.0.1:1/x")
        current_settings.cache_clear()
        with pytest.raises(EngineError, match="no ClickHouse answers"):
            world.missing_data()
    assert checks(world) == {STATS: False, BOUNCES: False}
    shown = detector(world)
    assert shown["status"].startswith("UNKNOWN: no ClickHouse answers at clickhouse://u@127.0.0.1:1/x")
    assert "secret" not in shown["status"]
    current_settings.cache_clear()
    world.missing_data()
    assert checks(world) == {STATS: True, BOUNCES: True}


def test_a_check_fails_for_a_script_while_anything_is_wrong_or_not_known(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for_scripts = {"output": "json", "fail_when_incomplete": True}
    world.traffic([1], DAYS)
    world.select(1)
    world.built(*DAYS)
    world.run_as_configured("check_missing_data_job", for_scripts)
    complete = json.loads(capsys.readouterr().out)
    assert complete["is_complete"]
    assert complete["details"][STATS]["complete_units"] == 3
    lose(world, DAYS[0])
    for refused, problem in ((for_scripts, "NOT COMPLETE: 1 "), ({"output": "yaml"}, "output is 'yaml'")):
        with pytest.raises(Exception, match=problem):  # Dagster's Failure, or ours
            world.run_as_configured("check_missing_data_job", refused)
    found = json.loads(capsys.readouterr().out)
    assert not found["is_complete"]
    assert found["details"][STATS] == {
        "missing_count": 1,
        "sample_dates": [str(DAYS[0])],
        "complete_units": 2,
        "wrong_units": 1,
        "reasons": {"rows lost, tables disagree": 1},
    }
    world.client.command(f"RENAME TABLE {STATS} TO stats_elsewhere")
    try:
        with pytest.raises(Exception):  # noqa: B017, PT011 -- whichever it is: it fails
            world.run_as_configured("check_missing_data_job", for_scripts)
    finally:
        world.client.command(f"RENAME TABLE stats_elsewhere TO {STATS}")


def test_whatever_changes_data_leaves_what_is_so_then(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.traffic([1, 2], DAYS)
    world.select(1, 2)
    world.built(*DAYS)
    truth = Truth(world, capsys)
    lose(world, DAYS[0])
    truth.after("check_missing_data_job", 2)

    span = {"start_date": str(DAYS[0]), "end_date": str(DAYS[0]), "dry_run": False}
    truth.after("managed_backfill_job", 0, **asked(**span))
    assert log(world) == [("managed", "completed")]
    [(backfill_id,)] = world.client.query("SELECT backfill_id FROM backfill_log").result_rows
    this = {"backfill_id": backfill_id, **WHO}
    truth.after("rollback_backfill_job", 2, **this)
    assert log(world) == [("managed", "rolled back")]
    # The partition's page no longer has what the build said that was taken back.
    of_the_day = AssetRecordsFilter(AssetKey(STATS), asset_partitions=[str(DAYS[0])])
    [record] = world.instance.fetch_materializations(of_the_day, limit=1).records
    assert record.asset_materialization is not None
    assert record.asset_materialization.metadata["day_rows"].value == 0
    truth.after("delete_backfill_job", 2, **this)
    assert log(world) == [("managed", "deleted")]

    waiver = {"first_day": str(DAYS[0]), "last_day": str(DAYS[0]), "team_ids": [], "table": "", **WHO}
    printed = truth.after("waive_job", 0, **waiver, valid_until=str(ago(-9)))
    [waiver_id] = re.findall("waiver-[0-9a-f]+", printed)
    truth.after("lift_waiver_job", 2, waiver_id=waiver_id, requested_by="ada")

    world.set(backfill_min_missing_partitions=1)
    requested = world.tick()
    truth.is_shown(2)
    with monkeypatch.context() as fault:
        fault.setattr(DayBuild, "run", lambda _: (_ for _ in ()).throw(RuntimeError("a fault")))
        with pytest.raises(RuntimeError):
            world.carry_out(requested)
    assert log(world)[0] == ("automatic", "failed")
    truth.is_shown(2)
    world.carry_out(requested)
    assert log(world)[0] == ("automatic", "completed")
    truth.is_shown(0)


def test_a_build_of_which_a_team_failed_leaves_what_is_so_though_its_check_is_skipped(world: World) -> None:
    world.traffic([1], DAYS)
    world.select(1)
    world.built(*DAYS)
    world.tick()
    assert checks(world) == {STATS: True, BOUNCES: True}
    for table in (STATS, BOUNCES):
        lose(world, DAYS[0], table)
    world.build_fails(DAYS[0])
    assert checks(world) == {STATS: False, BOUNCES: False}
    assert detector(world)["wrong_units"] == 2


def test_a_day_before_the_look_back_that_was_taken_back_says_so_on_its_page(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.set(backfill_lookback_days=2)
    world.traffic([1], DAYS)
    world.select(1)
    span = {"start_date": str(DAYS[0]), "end_date": str(DAYS[0]), "dry_run": False}
    world.run_as_configured("managed_backfill_job", asked(**span))
    assert "VERDICT  before the look-back: COMPLETE: 1 (table, team, day)" in capsys.readouterr().out
    [(backfill_id,)] = world.client.query("SELECT backfill_id FROM backfill_log").result_rows
    world.run_as_configured("rollback_backfill_job", {"backfill_id": backfill_id, **WHO})
    assert "VERDICT  before the look-back: NOT COMPLETE: 1 (table, team, day)" in capsys.readouterr().out
    of_the_day = AssetRecordsFilter(AssetKey(STATS), asset_partitions=[str(DAYS[0])])
    records = world.instance.fetch_observations(of_the_day, limit=9).records
    seen = [one.event_log_entry.dagster_event.event_specific_data.asset_observation for one in records]  # type: ignore[union-attr]
    assert [one.metadata["wrong_units"].value for one in seen] == [1, 0]


def test_a_partitions_figures_name_what_they_are_of(world: World) -> None:
    world.traffic([1, 2, 3], DAYS)
    world.select(1, 2, 3)
    world.built(*DAYS)
    config = {"ops": {"web_pre_aggregated": {"config": {"team_ids": [2]}}}}
    ran = world.loop.run("web_pre_aggregate_job", partition_key=str(DAYS[1]), run_config=config)
    [stats] = [
        made for made in ran.asset_materializations_for_node("web_pre_aggregated") if made.asset_key == AssetKey(STATS)
    ]
    figures = {name: entry.value for name, entry in stats.metadata.items()}
    # Of each team two page views at noon; the day's neighbours have as many.
    assert figures["day_rows"] == len(stored(world.client, STATS, DAYS[1])) == 6
    assert (figures["rebuilt_sessions"], figures["rebuilt_pageviews"], figures["teams_built"]) == (1, 2, 1)
    assert (figures["source_events"], figures["source_events_with_neighbours"]) == (2, 6)
