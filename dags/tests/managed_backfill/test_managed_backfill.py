"""Managed backfills on real engines: planned, carried out, stopped, resumed, refused by a gate, taken back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from dagster import AssetCheckKey, AssetKey
from dagster._core.storage.tags import ROOT_RUN_ID_TAG

from dags.clickhouse.sql import is_embedded
from dags.domain.clock import utc_now
from dags.domain.errors import UserError
from dags.managed_backfill.sweeping import sweep_backups
from dags.repair.stops.stopped import why_stopped
from dags.tests.events import Event, insert
from dags.tests.faulty import break_team, mended
from dags.tests.fold import fold, stored
from dags.tests.health.matter import matters
from dags.tests.listening import listening
from dags.tests.managed_backfill import asked
from dags.tests.runbook import cure, symptom
from dags.tests.variants import at_night, both_by_day, embedded_at_night, server_at_night
from dags.tests.work.seams import CHUNK_OVER, after_event
from dags.tests.world import BOUNCES, STATS, ago, noon, tables_asked
from dags.work.audit.log import MANAGED, Entry, Work
from dags.work.audit.log import Event as LogEvent
from dags.work.audit.store import Log, read_works

if TYPE_CHECKING:
    from datetime import date

    from dags.tests.world import World

pytestmark = server_at_night

DAYS = [ago(n) for n in (3, 2, 1)]
EXAMPLE = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
SPAN = {"start_date": str(DAYS[0]), "end_date": str(DAYS[-1])}


def run(world: World, job: str = "managed_backfill_job", **given: Any) -> Any:
    """The job's report; a failed run's error."""
    config = (
        asked(**{**SPAN, "dry_run": False, "chunk_size_days": 1, **given}) if job == "managed_backfill_job" else given
    )
    return world.run_as_configured(job, config).output_for_node(job.removesuffix("_job"))


def fails(world: World, job: str = "managed_backfill_job", **given: Any) -> str:
    with pytest.raises(Exception) as failed:  # noqa: PT011 -- Dagster's Failure or ours; its words are looked at
        run(world, job, **given)
    return str(failed.value)


def who(backfill_id: str, **given: Any) -> dict[str, Any]:
    return {"backfill_id": backfill_id, "requested_by": "bob", "reason": "because", **given}


def prepared(world: World, *teams: int, days: list[date] = DAYS) -> list[Event]:
    events = world.traffic(teams, days)
    world.select(*teams)
    return events


def holds_its_source(world: World, events: list[Event], table: str = STATS, days: list[date] = DAYS) -> bool:
    assert any(stored(world.client, table, day) for day in days)
    return all(stored(world.client, table, day) == fold(events, day, table) for day in days)


def everything(world: World) -> dict[str, Any]:
    """How much every table holds: what a dry run must not change."""
    tables = world.client.query(
        "SELECT name, total_rows, metadata_modification_time FROM system.tables WHERE database = currentDatabase()"
    ).result_rows
    return {name: facts for name, *facts in tables}


def test_a_dry_run_shows_the_whole_plan_with_estimates_and_changes_nothing(
    world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prepared(world, 1, 2)
    before = everything(world)
    for kind in ("full_reload", "incremental", "gap_filling"):
        report = run(world, dry_run=True, kind=kind, chunk_size_days=2)
        assert report["status"] == "dry run"
    assert everything(world) == before
    plan = yaml.safe_load(report["plan"])
    assert [chunk["days"] for chunk in plan["chunks"]] == [[str(DAYS[0]), str(DAYS[1])], [str(DAYS[2])]]
    # Two teams, two events a day, and each day's neighbours.
    assert [chunk["estimate"]["rows"] for chunk in plan["chunks"]] == [20, 8]
    assert plan["scope"]["estimated_from"] == "no past build: assumed"
    text = capsys.readouterr().out
    assert "DRY RUN  nothing was written" in text
    assert max(map(len, text.splitlines())) <= 100
    assert list(tmp_path.iterdir()) == []


@both_by_day
def test_a_range_is_rebuilt_in_chunks_reported_audited_and_twice_changes_nothing(world: World) -> None:
    events = prepared(world, 1, 2)
    report = run(world)
    assert (report["status"], report["total_chunks"], report["successful"], report["failed"]) == ("completed", 3, 3, 0)
    assert report["total_rows"] == sum(len(stored(world.client, STATS, day)) for day in DAYS)
    # Two teams, two events a day; each of three days is built with its neighbours, and the engine may not say more.
    sizes = ("source_rows", "source_rows_with_neighbours", "estimated_source_rows_with_neighbours")
    assert [report[size] for size in sizes] == [12, 28, 28]
    assert [chunk["source_rows"] for chunk in report["chunks"]] == [4, 4, 4]
    is_told = not is_embedded(world.client)
    both = sizes[1:]
    assert [chunk[both[0]] - chunk[both[1]] for chunk in report["chunks"]] == [0, 0, 0]
    assert [(chunk["rows_read"] or 0) >= chunk[both[0]] for chunk in report["chunks"]] == [is_told] * 3
    assert (report["rows_read"] is not None) == is_told
    assert [(chunk["id"], chunk["status"]) for chunk in report["chunks"]] == [(n, "done") for n in (1, 2, 3)]
    assert all(gate["passed"] for gate in report["gates"])
    assert holds_its_source(world, events)
    assert world.instance.get_materialized_partitions(AssetKey(STATS)) == {str(day) for day in DAYS}
    assert not stored(world.client, BOUNCES)
    check = AssetCheckKey(AssetKey(STATS), "complete")
    [record] = world.instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
    assert record.status.value == "SUCCEEDED"

    once = {day: stored(world.client, STATS, day) for day in DAYS}
    assert run(world)["status"] == "completed"
    assert {day: stored(world.client, STATS, day) for day in DAYS} == once

    planning = "SELECT min(seconds) FROM web_analytics_backfill_events WHERE event = 'accepted'"
    assert 0 < world.client.query(planning).result_rows[0][0] < report["seconds"]
    latest, first = read_works(world.client, kinds=[MANAGED])
    assert first.work == Work(report["backfill_id"], MANAGED, STATS, str(DAYS[0]), str(DAYS[-1]))
    assert (first.status, first.rows, first.requested_by, first.reason) == (
        "completed", report["total_rows"], "ada", "a bug",
    )  # fmt: skip
    assert first.started_at < first.completed_at < latest.started_at  # type: ignore[operator]
    rows = world.client.query("SELECT backfill_id, status, rows_affected FROM backfill_log WHERE origin = 'managed'")
    assert len(rows.result_rows) == 2


def test_gap_filling_rebuilds_what_is_wrong_and_preserving_builds_only_what_is_absent(world: World) -> None:
    events = prepared(world, 1, 2)
    world.built(*DAYS[:2])
    world.client.command(f"DELETE FROM {STATS} WHERE team_id = 2 AND toDate(period_bucket) = '{DAYS[1]}'")
    late = world.traffic([1], [DAYS[0]], session="late")
    plan = yaml.safe_load(run(world, dry_run=True, kind="gap_filling")["plan"])
    wrong = {day: teams for chunk in plan["chunks"] for day, teams in chunk["team_ids_by_day"].items()}
    assert wrong == {str(DAYS[0]): [1], str(DAYS[1]): [2], str(DAYS[2]): [1, 2]}

    preserved = run(world, kind="incremental", preserve_existing=True)
    assert preserved["status"] == "completed"
    assert not holds_its_source(world, events + late)  # the late session's unit had rows, and keeps them
    assert holds_its_source(world, events)
    assert run(world, kind="gap_filling")["total_chunks"] == 1
    assert holds_its_source(world, events + late)
    assert "finds no unit to rebuild" in fails(world, kind="gap_filling")


def test_a_correction_is_of_the_teams_and_days_that_are_named(world: World) -> None:
    events = prepared(world, 1, 2)
    report = run(
        world, kind="point_in_time_correction", team_ids=[2], days=[str(DAYS[0]), str(DAYS[2])], chunk_size_days=7
    )
    assert [chunk["date_range"] for chunk in report["chunks"]] == [f"{DAYS[0]} … {DAYS[2]}"]
    for day in DAYS:
        expected = fold([event for event in events if event.team_id == 2], day, STATS) if day != DAYS[1] else {}
        assert stored(world.client, STATS, day) == expected


def test_a_full_reload_leaves_days_without_a_source_alone_and_an_incremental_one_takes_them(world: World) -> None:
    prepared(world, 1)
    longer = {"start_date": str(ago(9)), "end_date": str(ago(1))}
    for kind, days in (("full_reload", 3), ("incremental", 9)):
        plan = yaml.safe_load(run(world, dry_run=True, kind=kind, **longer)["plan"])
        assert sum(len(chunk["days"]) for chunk in plan["chunks"]) == days


def test_a_plan_is_saved_edited_and_carried_out_exactly_as_it_is(world: World, tmp_path: Path) -> None:
    events = prepared(world, 1, 2)
    world.set(backfill_plans_directory=tmp_path)
    path = tmp_path / "reload.yaml"
    # As the README has it.
    example = yaml.safe_load(EXAMPLE.split("backfill.yaml\n")[1].split("$ dg")[0])
    world.run_as_configured("managed_backfill_job", asked(**{**example, **SPAN, "chunk_size_days": 1}))
    assert example["save_plan_to"] == "reload"
    assert "has already: give another name" in fails(world, dry_run=True, save_plan_to="reload")
    document = yaml.safe_load(path.read_text())
    document["chunks"] = document["chunks"][1:]
    document["chunks"][0]["team_ids_by_day"] = {str(DAYS[1]): [1]}
    document["strategy"]["newest_first"] = True
    path.write_text(yaml.safe_dump(document))
    untold = dict.fromkeys(("start_date", "end_date", "target_table", "reason", "requested_by"), "")
    report = run(world, plan_file=example["save_plan_to"], chunk_size_days=7, **untold)
    assert [chunk["id"] for chunk in report["chunks"]] == [2, 3]
    only_one = [event for event in events if event.team_id == 1]
    assert stored(world.client, STATS, DAYS[0]) == {}
    assert stored(world.client, STATS, DAYS[1]) == fold(only_one, DAYS[1], STATS) != {}
    assert holds_its_source(world, events, days=DAYS[2:])
    frozen = run(world, "show_backfills_job", backfill_id=report["backfill_id"], save_plan_to="again")
    assert frozen["status"] == "completed"
    assert yaml.safe_load((tmp_path / "again.yaml").read_text()) == document
    assert "given beside a plan" in fails(world, plan_file=example["save_plan_to"])


def test_nothing_is_touched_when_the_request_or_the_plan_is_refused(world: World) -> None:
    prepared(world, 1)
    before = everything(world)
    assert "end_date is" in fails(world, end_date=str(ago(-1)), team_ids=[9])
    assert "give a name of letters" in fails(world, plan_file="/no/such/plan")
    assert "cannot be read" in fails(world, plan_file="no-such-plan")
    assert "plan and plan_file were both given" in fails(world, plan_file="a", plan="b")
    assert "plan has 10,000,001 bytes" in fails(world, plan="x" * 10_000_001)
    assert everything(world) == before


def swept(world: World) -> tuple[str, ...]:
    """What a sweep drops eight days from now, when the time of every backup is over."""
    return sweep_backups(world.client, utc_now() + timedelta(days=8), "sweep", lambda _: None)


def test_a_pause_and_a_cancel_let_the_chunk_finish_and_resume_does_what_is_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = prepared(world, 1)
    with monkeypatch.context() as pausing:
        after_event(pausing, CHUNK_OVER, 1, lambda one: run(world, "pause_backfill_job", **who(one.work_id)))
        report = run(world)
    assert report["status"] == "paused"
    assert [chunk["status"] for chunk in report["chunks"]] == ["done", "planned", "planned"]
    assert holds_its_source(world, events, days=DAYS[:1])
    assert stored(world.client, STATS, DAYS[1]) == {}
    words = fails(world)
    assert f"is in work by {report['backfill_id']}, which is paused" in words
    assert symptom("… is in work by …").search(words)

    with monkeypatch.context() as cancelling:
        after_event(cancelling, CHUNK_OVER, 2, lambda one: cancelled_for_it_hangs(world, one.work_id))
        resumed = run(world, "resume_backfill_job", **who(report["backfill_id"]))
    assert resumed["status"] == "cancelled"
    began = "SELECT requested_by, reason FROM web_analytics_backfill_events WHERE event = 'started' ORDER BY at"
    assert world.client.query(began).result_rows == [("", ""), ("bob", "because")]
    assert [chunk["status"] for chunk in resumed["chunks"]] == ["done", "done", "planned"]
    built = world.client.query(
        f"SELECT day, count() FROM web_pre_aggregated_builds WHERE table_name = '{STATS}' GROUP BY day"
    )
    assert dict(map(tuple, built.result_rows)) == dict.fromkeys(DAYS[:2], 1)
    assert f"work:{report['backfill_id']}" not in matters(world.client, later=timedelta(hours=2))
    assert "is cancelled: only one that is not over can be resumed" in fails(
        world, "resume_backfill_job", **who(report["backfill_id"])
    )
    assert "give the whole id" in fails(world, "delete_backfill_job", **who(report["backfill_id"][:10]))
    run(world, "delete_backfill_job", **who(report["backfill_id"]))
    assert run(world, "show_backfills_job") == {"backfills": []}
    [work] = read_works(world.client)
    assert work.status == "deleted"


def cancelled_for_it_hangs(world: World, backfill_id: str) -> None:
    """Of a run that is at work and says no more, what a person is told and types."""
    seen, key = "… has said nothing for …, though its run lives", f"work:{backfill_id}"
    assert symptom(seen).match(matters(world.client, later=timedelta(hours=2))[key].what)
    job, given = cure(seen, "cancel_backfill_job", **who(backfill_id))
    run(world, job, **given)


@at_night
@embedded_at_night
def test_a_ceiling_and_the_switch_stop_between_chunks_and_can_be_resumed(world: World) -> None:
    events = prepared(world, 1)
    report = run(world, max_source_rows=1)
    assert report["successful"] == 1
    assert report["status"] == "paused"
    world.run_as_configured("stop_all_backfills_job", {"reason": "a storm", "requested_by": "eve"})
    # Nobody asked that of this backfill: whoever waits for the run's end must not take it for done.
    words = fails(world, "resume_backfill_job", **who(report["backfill_id"]))
    assert words == (
        f"{report['backfill_id']} is paused: backfills are {why_stopped(world.client)}. When these may run again "
        "(resume_all_backfills_job), go on with it: resume_backfill_job"
    )
    assert read_works(world.client)[0].status == "paused"
    world.run_as_configured("resume_all_backfills_job", {"reason": "over", "requested_by": "eve"})
    world.set(backfill_stopped="1")  # which no job ends
    words = fails(world, "resume_backfill_job", **who(report["backfill_id"]))
    assert "(WEB_ANALYTICS_BACKFILL_STOPPED unset, and the processes started again)" in words
    world.set(backfill_stopped="0")
    seen, key = "… is paused", f"work:{report['backfill_id']}"
    for successful in (2, 3):
        assert symptom(seen).match(matters(world.client)[key].what)
        job, given = cure(seen, "resume_backfill_job", **who(report["backfill_id"]))
        assert run(world, job, **given)["successful"] == successful
    assert key not in matters(world.client)
    assert holds_its_source(world, events)


def ended_after(world: World, monkeypatch: pytest.MonkeyPatch, chunks: int) -> None:
    """A run that ends as a kill by the UI ends it, once so many chunks are over."""

    def ended(_: Work) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as ending:
        after_event(ending, CHUNK_OVER, chunks, ended)
        with pytest.raises(KeyboardInterrupt):
            run(world)


@embedded_at_night
def test_a_run_that_is_ended_from_outside_says_so_and_is_resumed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    events = prepared(world, 1)

    ended_after(world, monkeypatch, 2)
    [work] = read_works(world.client)
    assert (work.status, work.completed_at) == ("interrupted", None)
    seen, key, later = "… was interrupted: its run died", f"work:{work.work_id}", timedelta(minutes=20)
    assert symptom(seen).match(matters(world.client, later=later)[key].what)
    job, given = cure(seen, "resume_backfill_job", **who(work.work_id))
    report = run(world, job, **given)
    assert key not in matters(world.client, later=later)
    assert (report["status"], report["successful"]) == ("completed", 3)
    assert holds_its_source(world, events)


def test_a_retry_of_a_run_goes_on_with_the_plan_that_was_accepted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = prepared(world, 1)

    ended_after(world, monkeypatch, 1)
    [first] = world.instance.get_runs(limit=1)
    # Whatever it would plan now: the days, the teams and the chunks are those of then.
    world.traffic([1], [ago(5)])
    anew = asked(start_date=str(ago(5)), end_date=str(ago(5)), dry_run=False)
    retried = world.run_as_configured("managed_backfill_job", anew, tags={ROOT_RUN_ID_TAG: first.run_id})
    report = retried.output_for_node("managed_backfill")
    assert (report["backfill_id"], report["successful"]) == (f"backfill-{first.run_id[:8]}", 3)
    assert holds_its_source(world, events)
    assert stored(world.client, STATS, ago(5)) == {}
    with pytest.raises(UserError, match="is completed: only one that is not over can be resumed"):
        world.run_as_configured("managed_backfill_job", anew, tags={ROOT_RUN_ID_TAG: first.run_id})


@embedded_at_night
def test_a_day_that_was_published_and_not_recorded_is_built_again_and_its_backup_is_that_of_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = prepared(world, 1)
    world.built(DAYS[0])
    before = stored(world.client, STATS, DAYS[0])
    late = world.traffic([1], [DAYS[0]], session="late")
    original = Log.append

    def lost(log: Log, *entries: Entry) -> None:
        if any(entry.event == LogEvent.STEP_DONE for entry in entries):
            raise KeyboardInterrupt
        original(log, *entries)

    with monkeypatch.context() as losing:
        losing.setattr(Log, "append", lost)
        with pytest.raises(KeyboardInterrupt):
            run(world)
    [work] = read_works(world.client, kinds=[MANAGED])
    assert stored(world.client, STATS, DAYS[0]) == fold(events + late, DAYS[0], STATS) != before
    assert run(world, "resume_backfill_job", **who(work.work_id))["status"] == "completed"
    run(world, "rollback_backfill_job", **who(work.work_id, allow_losing_later_builds=False))
    assert stored(world.client, STATS, DAYS[0]) == before


@embedded_at_night
def test_a_gate_on_staging_keeps_readers_on_the_old_day_and_a_failed_chunk_restores_all(world: World) -> None:
    usual = [ago(n) for n in range(12, 4, -1)]
    calm = [Event(1, noon(day, minute), f"s-{day}", pathname="/") for day in [*usual, *DAYS] for minute in range(10)]
    insert(world.client, calm)
    world.select(1)
    world.built(*usual, *DAYS[1:])
    before = {day: stored(world.client, STATS, day) for day in DAYS}
    # On one day every page view has a path of its own: ten rows where there was one.
    scattered = [Event(1, noon(DAYS[2], 100 + n), "other", pathname=f"/{n}") for n in range(30)]
    insert(world.client, scattered)
    error = fails(world, start_date=str(DAYS[1]))
    assert "distribution" in error
    assert "rows per page view" in error
    [work] = read_works(world.client)
    assert work.status == "restored"
    assert {day: stored(world.client, STATS, day) for day in DAYS} == before
    kept = fails(world, on_gate_failure="keep", days=[str(DAYS[1]), str(DAYS[2])])
    assert "is failed" in kept
    assert stored(world.client, STATS, DAYS[2]) == before[DAYS[2]]


def test_a_team_that_cannot_be_built_fails_its_chunk_alone_and_the_others_are_kept_when_told_so(world: World) -> None:
    events = world.traffic([1], DAYS)
    broken = world.traffic([2], [DAYS[2]])
    world.select(1, 2)
    break_team(world.client, 2)
    try:
        error = fails(world, on_gate_failure="keep")
    finally:
        mended(world.client)
    assert "bad data" in error
    assert "every_chunk_succeeded" in error
    [work] = read_works(world.client)
    assert work.status == "failed"
    assert holds_its_source(world, events)
    seen, key = "backfill-… failed", f"work:{work.work_id}"
    assert symptom(seen).match(matters(world.client)[key].what)
    job, given = cure(seen, "resume_backfill_job", **who(work.work_id))
    assert run(world, job, **given)["status"] == "completed"
    assert key not in matters(world.client)
    assert holds_its_source(world, events + broken)


@embedded_at_night
def test_a_rollback_makes_every_day_what_it_was_an_absent_one_too(world: World) -> None:
    events = prepared(world, 1, 2)
    world.built(*DAYS[:2])
    world.client.command(f"DELETE FROM {STATS} WHERE team_id = 2 AND toDate(period_bucket) = '{DAYS[1]}'")
    before = {day: stored(world.client, STATS, day) for day in DAYS}
    assert before[DAYS[0]]
    assert before[DAYS[2]] == {}
    report = run(world, kind="incremental")
    assert holds_its_source(world, events)
    taken_back = run(world, "rollback_backfill_job", **who(report["backfill_id"], allow_losing_later_builds=False))
    assert taken_back["status"] == "rolled back"
    assert {day: stored(world.client, STATS, day) for day in DAYS} == before
    [work] = read_works(world.client, statuses=["rolled back"])
    assert work.work_id == report["backfill_id"]


@embedded_at_night
def test_a_rollback_keeps_the_rows_of_other_teams_and_refuses_to_lose_later_builds(world: World) -> None:
    events = prepared(world, 1, 2)
    world.built(*DAYS)
    before = {day: stored(world.client, STATS, day) for day in DAYS}
    late = world.traffic([1, 2], [DAYS[0]], session="late")
    report = run(world, team_ids=[1], days=[str(DAYS[0]), str(DAYS[1])])
    run(world, team_ids=[2], days=[str(DAYS[0])])
    world.run_as_configured(
        "web_pre_aggregate_job",
        {"ops": {"web_pre_aggregated": {"config": {"team_ids": [1]}}}},
        partition_key=str(DAYS[1]),
    )
    refused = fails(world, "rollback_backfill_job", **who(report["backfill_id"], allow_losing_later_builds=False))
    assert f"{DAYS[1]} of web_pre_aggregated_stats was built since" in refused
    seen = "rollback would lose these builds"
    assert symptom(seen).search(refused)
    assert holds_its_source(world, events + late)
    allowing = who(report["backfill_id"], allow_losing_later_builds=True)
    job, given = cure(seen, "rollback_backfill_job", **allowing)
    assert run(world, job, **given)["status"] == "rolled back"
    of_two = fold([event for event in events + late if event.team_id == 2], DAYS[0], STATS)
    of_one = {key: value for key, value in before[DAYS[0]].items() if key not in of_two}
    assert stored(world.client, STATS, DAYS[0]) == {**of_two, **of_one}
    assert stored(world.client, STATS, DAYS[1]) == before[DAYS[1]]


@embedded_at_night
def test_a_backup_is_kept_for_its_time_then_swept_and_a_rollback_says_so(world: World) -> None:
    prepared(world, 1)
    report = run(world)
    backups = "SELECT count() FROM system.tables WHERE startsWith(name, 'web_pre_aggregated_backup_')"
    assert world.client.query(backups).result_rows == [(1,)]
    assert swept(world)
    assert world.client.query(backups).result_rows == [(0,)]
    refused = fails(world, "rollback_backfill_job", **who(report["backfill_id"], allow_losing_later_builds=False))
    assert "is not there any more. It was kept 7 days" in refused


@embedded_at_night
def test_a_backup_is_kept_until_its_backfill_is_over_and_nothing_goes_on_without_it(world: World) -> None:
    prepared(world, 1)
    world.built(*DAYS)
    report = run(world, max_source_rows=1)
    assert swept(world) == ()
    [(backup,)] = world.client.query("SHOW TABLES LIKE 'web_pre_aggregated_backup_%'").result_rows
    world.client.command(f"DROP TABLE {backup} SYNC")
    before = {day: stored(world.client, STATS, day) for day in DAYS}
    assert f"backup of {report['backfill_id']} is not there any more" in fails(
        world, "resume_backfill_job", **who(report["backfill_id"])
    )
    refused = fails(world, "rollback_backfill_job", **who(report["backfill_id"], allow_losing_later_builds=False))
    assert "is not there any more" in refused
    assert {day: stored(world.client, STATS, day) for day in DAYS} == before


def test_what_the_planner_launches_is_in_the_audit_as_well(world: World) -> None:
    world.traffic([1, 2, 3], DAYS[-3:])
    world.select(1, 2, 3)
    world.built(*DAYS[-3:])
    world.client.command(f"DELETE FROM {STATS} WHERE team_id = 2")
    for day in DAYS[-3:]:
        world.client.command(f"ALTER TABLE {BOUNCES} DROP PARTITION {day:%Y%m%d}")
    world.carry_out(world.tick())
    rows = read_works(world.client)
    assert {(row.work.subject, row.work.first_step, row.status, row.work.kind, row.requested_by) for row in rows} == {
        (table, str(day), "completed", "automatic", "sensor") for table in (STATS, BOUNCES) for day in DAYS[-3:]
    }
    # Of each table its own units, and the rows of the teams that were rebuilt: two of stats a team, one of bounces.
    assert {(row.work.subject, row.reason, row.rows) for row in rows} == {
        (STATS, "rows lost: 1", 2),
        (BOUNCES, "rows lost, tables disagree: 2; rows lost: 1", 3),
    }
    assert "has no plan and no backup" in fails(world, "cancel_backfill_job", **who(rows[0].work_id))


def test_a_webhook_hears_of_each_chunk_and_never_stops_the_backfill(world: World) -> None:
    prepared(world, 1)
    # What was redirected is not sent elsewhere; what failed is sent three times.
    with listening(204, 302, 500, 500, 500) as (host, heard):
        world.set(backfill_webhook_hosts=host, backfill_webhook_token="sesame")
        report = run(world, webhook=f"http://{host}/backfills", webhook_every_chunks=2)
    assert report["status"] == "completed"
    assert [message["percent"] for message in heard if message["chunk"]] == [66.7, 100.0]
    assert {message["token"] for message in heard} == {"Bearer sesame"}
    assert heard[-1]["total_chunks"] == 3
    assert len(heard) == 5
    for words in (
        report,
        *(entry.message for entry in world.instance.all_logs(world.instance.get_runs(limit=1)[0].run_id)),
    ):
        assert "sesame" not in str(words)


@embedded_at_night
def test_a_table_that_is_altered_in_the_middle_of_a_backfill_keeps_the_days_that_are_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = prepared(world, 1)
    world.built(*DAYS)
    alter = f"ALTER TABLE {STATS} {{}} SETTINGS mutations_sync = 2"
    try:
        after_event(monkeypatch, CHUNK_OVER, 1, lambda _: world.client.command(alter.format("ADD COLUMN extra String")))
        words = fails(world, on_gate_failure="keep")
        assert symptom("the table was altered since the backup").search(words)
        assert holds_its_source(world, events)
    finally:
        world.client.command(alter.format("DROP COLUMN IF EXISTS extra"))


@embedded_at_night
def test_chunks_run_at_once_up_to_the_limit_and_come_to_the_same(world: World) -> None:
    events = prepared(world, 1, 2)
    report = run(world, parallelism=3, newest_first=True)
    assert (report["status"], report["successful"]) == ("completed", 3)
    assert report["chunks"][0]["date_range"] == f"{DAYS[-1]} … {DAYS[-1]}"
    assert holds_its_source(world, events)
    assert world.instance.get_materialized_partitions(AssetKey(STATS)) == {str(day) for day in DAYS}


def test_the_sensor_leaves_days_alone_that_a_running_backfill_has_before_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(world, 1)
    messages: list[Any] = []
    assert tables_asked(world.tick()) == {str(day): {STATS, BOUNCES} for day in DAYS}
    after_event(monkeypatch, CHUNK_OVER, 1, lambda _: messages.append(tables_asked(world.tick())))
    run(world)
    assert messages == [{str(DAYS[0]): {BOUNCES}}]


def test_days_that_dagster_has_queued_are_in_work(world: World) -> None:
    prepared(world, 1)
    run_id = world.queue(DAYS[1])
    assert f"{STATS} of {DAYS[1]} is in work by run {run_id[:8]}" in fails(world)
    assert run(world, start_date=str(DAYS[2]))["status"] == "completed"


def test_two_backfills_of_the_same_days_are_not_accepted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(world, 1)
    refused: list[str] = []
    after_event(monkeypatch, CHUNK_OVER, 1, lambda _: refused.append(fails(world, start_date=str(DAYS[2]))))
    assert run(world)["status"] == "completed"
    assert "which is running" in refused[0]


def test_a_backfill_that_is_not_known_is_said_to_be_so(world: World) -> None:
    with pytest.raises(UserError, match="backfill_id is 'backfill-0000': no backfill's id begins so"):
        run(world, "pause_backfill_job", **who("backfill-0000"))
