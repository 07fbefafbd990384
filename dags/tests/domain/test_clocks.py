"""Hosts whose clocks are wrong, in both directions: what happened is what ClickHouse's clock says."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from dagster._core.test_utils import freeze_time

from dags.clickhouse.clocks import read_clocks
from dags.detection.rules import Cause
from dags.domain import clock
from dags.domain.clock import clock_warning
from dags.domain.errors import UserError
from dags.repair.stops.stopped import why_stopped
from dags.team_selection.store import read_selection
from dags.tests.fold import stored
from dags.tests.managed_backfill import asked
from dags.tests.runbook import symptom
from dags.tests.variants import at_night, embedded_at_night, variants
from dags.tests.work.seams import CHUNK_OVER, after_event
from dags.tests.world import STATS, ago
from dags.web_preaggregated_backfill.evaluation import skip_reason
from dags.web_preaggregated_backfill.metadata import metadata
from dags.work.audit.log import MANAGED
from dags.work.audit.store import read_works

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from dags.tests.world import World

# Whole runs on hosts whose clocks are wrong: seconds each.
pytestmark = [pytest.mark.long, embedded_at_night]

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DAYS = [ago(n) for n in (3, 2, 1)]
WHO = {"requested_by": "bob", "reason": "because"}

_true_now = clock.utc_now


def set_clock(monkeypatch: pytest.MonkeyPatch, skew: timedelta) -> None:
    """From now on this host's clock is wrong by so much; Dagster's own and ClickHouse's are not."""
    monkeypatch.setattr(clock, "utc_now", lambda: _true_now() + skew)


@contextmanager
def host(world: World, skew: timedelta) -> Iterator[None]:
    with world.monkeypatch.context() as wrong:
        set_clock(wrong, skew)
        yield


def run(world: World, job: str, **given: Any) -> Any:
    return world.run_as_configured(job, given).output_for_node(job.removesuffix("_job"))


def backfill(world: World, **given: Any) -> Any:
    span = {"start_date": str(DAYS[0]), "end_date": str(DAYS[-1])}
    return run(world, "managed_backfill_job", **asked(**{**span, "dry_run": False, "chunk_size_days": 1, **given}))


@contextmanager
def after_chunk(world: World, number: int, act: Callable[[str], object]) -> Iterator[None]:
    """Act on the backfill when a chunk of it is over."""
    with world.monkeypatch.context() as between:
        after_event(between, CHUNK_OVER, number, lambda work: act(work.work_id))
        yield


def prepared(world: World, *teams: int, days: list[date] = DAYS) -> None:
    world.traffic(teams, days)
    world.select(*teams)


@pytest.mark.parametrize(
    ("skew", "words"),
    [
        (timedelta(0), ""),
        (MINUTE, ""),
        (-MINUTE, ""),
        (MINUTE + timedelta(seconds=1), "1.02 min ahead of"),
        (-10 * MINUTE, "10 min behind"),
        (3 * HOUR, "3 h ahead of"),
        (-8 * DAY, "8 days behind"),
    ],
    ids=str,
)
def test_a_difference_of_more_than_a_minute_is_said_with_its_size_and_direction(skew: timedelta, words: str) -> None:
    server = datetime(2026, 1, 2, 12, tzinfo=UTC)
    text = clock_warning(server + skew, server)
    assert (words in text) if words else not text


def test_both_clocks_are_read_at_one_moment_and_a_day_is_over_when_both_say_so(world: World) -> None:
    true = read_clocks(world.client)
    assert not true.warnings
    assert abs(true.server_now() - _true_now()) < timedelta(seconds=5)
    for skew, today in ((DAY, true.server.date()), (-DAY, true.host.date() - DAY)):
        with host(world, skew):
            wrong = read_clocks(world.client)
        assert wrong.today == today
        assert ("ahead" if skew > timedelta(0) else "behind") in wrong.warning
        assert abs(wrong.server_now() - _true_now()) < timedelta(seconds=5)


def test_a_pause_and_a_cancel_are_heard_from_hosts_whose_clocks_are_wrong(world: World) -> None:
    prepared(world, 1)

    def asks(job: str, skew: timedelta) -> Callable[[str], None]:
        def ask(backfill_id: str) -> None:
            with host(world, skew):
                run(world, job, backfill_id=backfill_id, **WHO)

        return ask

    with after_chunk(world, 1, asks("pause_backfill_job", -2 * MINUTE)):
        report = backfill(world)
    assert (report["status"], report["successful"]) == ("paused", 1)
    # What was asked of the run before is not asked of this one, from the future though it seems to be.
    with after_chunk(world, 2, asks("pause_backfill_job", DAY)):
        report = run(world, "resume_backfill_job", backfill_id=report["backfill_id"], **WHO)
    assert (report["status"], report["successful"]) == ("paused", 2)
    with after_chunk(world, 3, asks("cancel_backfill_job", -DAY)):
        report = run(world, "resume_backfill_job", backfill_id=report["backfill_id"], **WHO)
    assert (report["status"], report["successful"]) == ("cancelled", 3)


def test_an_emergency_stop_counts_after_a_resume_from_a_laptop_that_is_ahead(world: World) -> None:
    for skew in (10 * MINUTE, 0 * MINUTE, -DAY):
        with host(world, skew):
            run(world, "stop_all_backfills_job", **WHO)
        assert "stopped by bob" in why_stopped(world.client)
        with host(world, skew + 10 * MINUTE):
            run(world, "resume_all_backfills_job", **WHO)
        assert not why_stopped(world.client)
    # A turn that a laptop stamped with tomorrow, before the server stamped them, is overruled as well.
    world.client.command(
        "INSERT INTO web_analytics_backfill_stops (is_stopped, reason, requested_by, at) "
        "VALUES (false, 'over', 'eve', now64(6) + INTERVAL 1 DAY)"
    )
    run(world, "stop_all_backfills_job", **WHO)
    assert "stopped by bob" in why_stopped(world.client)


@pytest.mark.parametrize("skew", variants(-DAY, DAY), ids=str)
def test_a_clock_that_steps_in_the_middle_of_a_run_changes_nothing(world: World, skew: timedelta) -> None:
    prepared(world, 1)
    with world.monkeypatch.context() as wrong, after_chunk(world, 2, lambda _: set_clock(wrong, skew)):
        report = backfill(world, max_seconds=600)
    assert (report["status"], report["successful"]) == ("completed", 3)
    assert 0 < report["seconds"] < 600
    [row] = read_works(world.client, kinds=[MANAGED])
    assert row.status == "completed"
    assert row.completed_at is not None
    assert row.started_at < row.completed_at < read_clocks(world.client).server
    # Its days are free, and it can be taken back.
    assert backfill(world, dry_run=True)["status"] == "dry run"
    taken = run(world, "rollback_backfill_job", backfill_id=row.work_id, allow_losing_later_builds=False, **WHO)
    assert sorted(taken["days"]) == [str(day) for day in DAYS]


def test_events_that_a_host_ahead_stamped_before_the_upgrade_come_before_those_of_now(world: World) -> None:
    prepared(world, 1)
    report = backfill(world, max_source_rows=1)
    world.client.command(
        "INSERT INTO web_analytics_backfill_events SELECT * REPLACE (at + INTERVAL 1 DAY AS at) "
        f"FROM web_analytics_backfill_events WHERE backfill_id = '{report['backfill_id']}' AND event = 'started'"
    )
    assert run(world, "resume_backfill_job", backfill_id=report["backfill_id"], **WHO)["successful"] == 2
    [row] = read_works(world.client, subject=STATS, kinds=[MANAGED])
    assert row.status == "paused"


@at_night
def test_a_build_since_the_backup_is_seen_when_the_log_runs_ahead_of_the_servers_clock(world: World) -> None:
    """A server's clock that stepped back leaves a log whose stamps go on from the future; the ledger's do not."""
    prepared(world, 1)
    backfill_id = backfill(world, max_source_rows=1, end_date=str(DAYS[1]))["backfill_id"]
    world.client.command(
        "INSERT INTO web_analytics_backfill_events SELECT * REPLACE (at + INTERVAL 10 MINUTE AS at) "
        f"FROM web_analytics_backfill_events WHERE backfill_id = '{backfill_id}' AND event = 'gate' LIMIT 1"
    )
    report = run(world, "resume_backfill_job", backfill_id=backfill_id, **WHO)
    assert (report["status"], report["successful"]) == ("completed", 2)
    world.traffic([1], [DAYS[1]], session="late")
    world.build(DAYS[1])
    with pytest.raises(UserError, match=f"{DAYS[1]} of {STATS} was built since, by run by-hand"):
        run(world, "rollback_backfill_job", backfill_id=backfill_id, allow_losing_later_builds=False, **WHO)


def test_of_two_turns_of_the_switch_with_one_stamp_the_stop_counts(world: World) -> None:
    for day, first in (("2026-01-02", "true"), ("2026-01-03", "false")):
        last = "false" if first == "true" else "true"
        for turn in (first, last):
            world.client.command(
                "INSERT INTO web_analytics_backfill_stops (is_stopped, reason, requested_by, at) "
                f"VALUES ({turn}, 'why', 'bob', '{day} 12:00:00')"
            )
        assert "stopped by bob" in why_stopped(world.client)


def test_the_last_build_is_the_one_that_came_last_whatever_the_clocks_of_the_hosts(world: World) -> None:
    prepared(world, 1, days=DAYS[:1])
    with host(world, DAY):
        world.build_fails(DAYS[0])
    with host(world, 2 * DAY):
        world.build(DAYS[0])
    world.traffic([1], DAYS[:1], session="late")
    world.build(DAYS[0])
    last = "SELECT argMax(sessions, finished_at), max(finished_at) < now64(6), min(finished_at >= started_at) FROM {}"
    messages = world.client.query(
        last.format("web_pre_aggregated_builds") + f" WHERE table_name = '{STATS}'"
    ).result_rows
    assert messages == [(2, 1, 1)]
    # What is lost now was lost, for the build that failed is not the last one.
    world.client.command(f"TRUNCATE TABLE {STATS}")
    with host(world, -DAY):
        found = world.evaluate().detection
    lost = {verdict.cause for verdict in found.wrong if verdict.unit.table == STATS and verdict.unit.day == DAYS[0]}
    assert lost == {Cause.ROWS_LOST}


@at_night
def test_the_last_list_of_teams_and_waivers_count_from_hosts_whose_clocks_are_wrong(world: World) -> None:
    prepared(world, 1, 2, 3)
    with host(world, 8 * DAY):
        world.select(1, 2, 3, 4)
    world.client.command("INSERT INTO web_analytics_enabled_teams (team_id, is_enabled) VALUES (4, 0)")
    world.loop.run("web_analytics_team_selection_job")
    assert read_selection(world.client).teams == {1, 2, 3}
    waiver = {
        "first_day": str(DAYS[0]), "last_day": str(DAYS[-1]), "valid_until": str(ago(0)), "team_ids": [], "table": "",
    }  # fmt: skip
    with host(world, -2 * DAY):
        waiver_id = run(world, "waive_job", **waiver, **WHO)
    with host(world, DAY):
        assert len(world.evaluate().detection.waivers) == 1
    with host(world, -DAY):
        world.run_as_configured("lift_waiver_job", {"waiver_id": waiver_id, "requested_by": "bob"})
    assert not world.evaluate().detection.waivers


@at_night
def test_a_backup_is_kept_for_its_days_by_the_clock_of_the_server(world: World) -> None:
    prepared(world, 1)
    for skew in (-2 * DAY, 9 * DAY):
        with host(world, skew):
            backfill(world, end_date=str(DAYS[0]))
            assert run(world, "sweep_backups_job") == []
    assert run(world, "sweep_backups_job") == []
    kept = "SELECT comment FROM system.tables WHERE startsWith(name, 'web_pre_aggregated_backup_')"
    assert {comment for (comment,) in world.client.query(kept).result_rows} == {f"kept_until_{ago(-7):%Y%m%d}"}


def test_a_day_that_is_not_over_by_the_server_is_neither_judged_nor_built_nor_planned(world: World) -> None:
    days = [*DAYS, ago(0)]
    prepared(world, 1, days=days)
    with host(world, DAY):
        assert {request.partition_key for request in world.tick().requests} == {str(day) for day in DAYS}
        report = yaml.safe_load(backfill(world, end_date=str(days[-1]), dry_run=True)["plan"])
        assert [chunk["days"] for chunk in report["chunks"]] == [[str(day)] for day in DAYS]
        # The clock of Dagster's host is wrong as well, so that it offers the partition.
        over = pytest.raises(Exception, match=symptom("… is not over by ClickHouse's clock"))
        with freeze_time(_true_now() + DAY), over:
            world.run_as_configured("web_pre_aggregate_job", partition_key=str(ago(0)))
    assert not stored(world.client, STATS, ago(0))


def test_every_answer_carries_the_warning(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    prepared(world, 1)
    text = "24 h ahead of ClickHouse's"
    with host(world, DAY):
        assert symptom("this host's clock says …").match(world.loop.missing_data()["warnings"][0])
        evaluation = world.evaluate()
        assert text in skip_reason(evaluation)
        assert text in str(metadata(evaluation)["warnings"].value)
        commands: dict[str, dict[str, Any]] = {
            "check_missing_data_job": {}, "show_data_gaps_job": {"days_back": 7}, "why_job": {"team_id": 1},
            "show_backfills_job": {}, "sweep_backups_job": {}, "list_waivers_job": {},
            "stop_all_backfills_job": WHO, "resume_all_backfills_job": WHO,
        }  # fmt: skip
        for job, given in commands.items():
            capsys.readouterr()
            world.run_as_configured(job, given)
            assert text in " ".join(capsys.readouterr().out.split()), job
