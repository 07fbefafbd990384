"""What people ask of a backfill is done, whoever is at work then, queued, dead or robbed; and what was said is so."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dags.clickhouse.clocks import read_clocks
from dags.clickhouse.leases.rules import lease_name, work_lease
from dags.dagster_runs import tags as runs
from dags.domain.errors import UserError
from dags.managed_backfill import gates
from dags.managed_backfill.kind import BACKFILL
from dags.managed_backfill.rollback import roll_back as taken_back
from dags.managed_backfill.store import unfinished_days
from dags.tests.managed_backfill import asked
from dags.tests.variants import at_night, server_at_night
from dags.tests.work.seams import STEP_OVER, after_event
from dags.tests.world import STATS, ago
from dags.web_preaggregated.tables import WEB_TABLES
from dags.work import control, runner
from dags.work.audit.log import MANAGED, Ask, Entry, Event, Status, Work, outranking, overruled, standing
from dags.work.audit.store import Log, read_works
from dags.work.lease import leased

if TYPE_CHECKING:
    from collections.abc import Callable

    from dags.tests.world import World

pytestmark = server_at_night

DAYS = [ago(n) for n in range(3, 0, -1)]
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
BOB = {"requested_by": "bob", "reason": "because"}


def run(world: World, job: str = "managed_backfill_job", **given: Any) -> Any:
    span = {"start_date": str(DAYS[0]), "end_date": str(DAYS[-1]), "dry_run": False, "chunk_size_days": 1}
    config = asked(**{**span, **given}) if job == "managed_backfill_job" else given
    return world.run_as_configured(job, config).output_for_node(job.removesuffix("_job"))


def resume(world: World, backfill_id: str) -> Any:
    return run(world, "resume_backfill_job", backfill_id=backfill_id, requested_by="ann", reason="go on")


def begun(world: World) -> str:
    """A backfill of which one chunk of three is done, paused by its ceiling."""
    world.traffic([1], DAYS)
    world.select(1)
    return str(run(world, max_source_rows=1)["backfill_id"])


def work(backfill_id: str) -> Work:
    return Work(backfill_id, MANAGED, STATS, str(DAYS[0]), str(DAYS[-1]))


def shown(world: World, backfill_id: str) -> list[str]:
    """The status in the list, and of the one."""
    [row] = run(world, "show_backfills_job")["backfills"]
    return [row["status"], run(world, "show_backfills_job", backfill_id=backfill_id)["status"]]


def roll_back(world: World, backfill_id: str) -> None:
    taken_back(
        world.client, WEB_TABLES, backfill_id, run_id="other", requested_by="eve", reason="wrong",
        even_built_since=False, wait_seconds=0, tell=lambda _: None,
    )  # fmt: skip


def test_a_pause_between_the_order_to_go_on_and_the_lease_is_heard(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is the run's launch: it may wait in the queue before it does anything, and before the lease."""
    backfill_id = begun(world)
    seconds = lambda *_: read_clocks(world.client).server - timedelta(seconds=5)  # noqa: E731
    with monkeypatch.context() as queued:
        assert control.pause(world.client, BACKFILL, backfill_id, "person", **BOB).startswith("PAUSED")
        queued.setattr("dags.managed_backfill.jobs.ordered_at", seconds)
        report = resume(world, backfill_id)
        assert (report["status"], report["successful"]) == ("paused", 1)
    text: list[str] = []

    def held(*facts: Any) -> Any:
        text.append(control.pause(world.client, BACKFILL, backfill_id, "person", **BOB))
        return leased(*facts)

    with monkeypatch.context() as late:
        late.setattr(runner, "leased", held)
        assert resume(world, backfill_id)["successful"] == 1
    assert text[0].startswith("PAUSED")
    # A later order overrules them both.
    assert resume(world, backfill_id)["successful"] == 2


def test_a_run_is_ordered_when_it_is_launched_or_its_process_begins(world: World) -> None:
    world.loop.run("web_analytics_team_selection_job")
    [launched] = world.instance.get_runs(limit=1)
    first = world.instance.get_records_for_run(launched.run_id, limit=1).records[0].event_log_entry.timestamp
    clocks = read_clocks(world.client)
    ago_by_host = clocks.server_now() - runs.ordered_at(world.instance, launched, clocks)
    assert abs(ago_by_host.total_seconds() - (time.time() - first)) < 0.5
    world.monkeypatch.setattr("sys.argv", ["dagster", "job", "execute"])
    world.monkeypatch.setattr(runs, "age_seconds", lambda _: 3600.0)
    assert clocks.server_now() - runs.ordered_at(world.instance, launched, clocks) > timedelta(minutes=59)


@at_night
def test_a_cancel_outranks_a_pause_and_both_are_done_when_asked_in_the_last_chunk(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.traffic([1], DAYS)
    world.select(1)
    text: list[str] = []

    def ask(*what: Callable[..., str]) -> Callable[[Work], None]:
        return lambda work: text.extend(one(world.client, BACKFILL, work.work_id, "person", **BOB) for one in what)

    for number, what, status in (
        (1, (control.cancel, control.pause), "cancelled"),
        (3, (control.pause,), "paused"),
        (3, (control.cancel,), "cancelled"),
    ):
        with monkeypatch.context() as asking:
            after_event(asking, STEP_OVER, number, ask(*what))
            report = run(world)
        assert (report["status"], report["successful"]) == (status, number)
        assert {line.rpartition(" ")[2] for line in text} == {status}
        if status == "paused":
            assert resume(world, report["backfill_id"])["status"] == "completed"
        text.clear()


def test_a_cancel_while_the_last_gates_fail_is_final_in_every_list_and_days_are_put_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.traffic([1], DAYS)
    world.select(1)
    failing = gates.Gate("row_counts", is_passed=False, measured="made up")

    def asked_meanwhile(*_: Any) -> gates.Gate:
        control.cancel(world.client, BACKFILL, read_works(world.client)[0].work_id, "person", **BOB)
        return failing

    monkeypatch.setattr(gates, "row_counts", asked_meanwhile)
    report = run(world)
    assert report["status"] == "cancelled"
    [row] = read_works(world.client)
    assert (row.status, shown(world, row.work_id)) == ("cancelled", ["cancelled", "cancelled"])
    assert world.client.query("SELECT status FROM backfill_log").result_rows == [("cancelled",)]
    assert world.client.query(f"SELECT count() FROM {STATS}").result_rows == [(0,)]
    # Rows that somebody wrote by hand are passed over by whoever reads the log.
    world.client.command(
        "INSERT INTO web_analytics_backfill_events (backfill_id, origin, table_name, event, step, name, requested_by) "
        f"SELECT '{row.work_id}', 'managed', '{STATS}', event, step, name, 'hand' "
        "FROM values('event String, step String, name String', "
        "('control', '', 'stop'), ('step_done', 'nonsense', ''), ('day_backed_up', '2026-13-45', ''))"
    )
    assert shown(world, row.work_id) == ["cancelled", "cancelled"]
    roll_back(world, row.work_id)
    with pytest.raises(UserError, match="is rolled back: it cannot be cancelled"):
        control.cancel(world.client, BACKFILL, row.work_id, "person", **BOB)


def test_what_was_asked_of_a_run_that_died_is_carried_out_by_whoever_comes_next(world: World) -> None:
    first = begun(world)
    lease = lease_name(*work_lease(first, str(DAYS[0])))
    with leased(world.client, BACKFILL, work(first), "doomed", lambda _: None):
        Log(world.client, work(first), "doomed").append(Entry(Event.STARTED, Status.RUNNING))
        assert shown(world, first) == ["running", "running"]
        assert control.pause(world.client, BACKFILL, first, "person", **BOB).startswith("ASKED")
    assert shown(world, first) == ["paused", "paused"]
    assert resume(world, first)["successful"] == 2
    with leased(world.client, BACKFILL, work(first), "doomed", lambda _: None):
        assert control.cancel(world.client, BACKFILL, first, "person", **BOB).startswith("ASKED")
    assert shown(world, first) == ["cancelled", "cancelled"]
    with pytest.raises(UserError, match="is cancelled, as was asked before: it cannot be paused"):
        control.pause(world.client, BACKFILL, first, "person", **BOB)
    assert (read_works(world.client)[0].status, unfinished_days(world.client)) == ("cancelled", {})
    assert not world.client.query(f"EXISTS TABLE {lease}").result_rows[0][0]


def test_a_resume_carries_out_the_cancel_that_a_dead_run_did_not_hear(world: World) -> None:
    backfill_id = begun(world)
    with leased(world.client, BACKFILL, work(backfill_id), "doomed", lambda _: None):
        control.cancel(world.client, BACKFILL, backfill_id, "person", **BOB)
    report = resume(world, backfill_id)
    assert (report["status"], report["successful"]) == ("cancelled", 1)
    assert read_works(world.client)[0].status == "cancelled"


def test_a_pause_writes_nothing_over_an_end_that_came_before_its_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    backfill_id = begun(world)

    def held(*facts: Any) -> Any:
        monkeypatch.setattr(control, "leased", leased)
        roll_back(world, backfill_id)
        return leased(*facts)

    for ask in (control.pause, control.cancel):
        monkeypatch.setattr(control, "leased", held if ask is control.pause else leased)
        with pytest.raises(UserError, match="is rolled back: it cannot be"):
            ask(world.client, BACKFILL, backfill_id, "person", **BOB)
    assert read_works(world.client)[0].status == "rolled back"


def test_a_run_that_was_robbed_says_nothing_over_what_the_other_made_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.traffic([1], DAYS)
    world.select(1)

    def robbed(work: Work) -> None:
        world.client.command(f"DROP TABLE {lease_name(*work_lease(work.work_id, work.first_step))} SYNC")
        roll_back(world, work.work_id)
        raise KeyboardInterrupt

    after_event(monkeypatch, STEP_OVER, 1, robbed)
    with pytest.raises(KeyboardInterrupt):
        run(world)
    assert (read_works(world.client)[0].status, unfinished_days(world.client)) == ("rolled back", {})


def test_a_run_that_died_is_shown_alike_in_the_list_and_by_its_id(world: World) -> None:
    backfill_id = begun(world)
    started = Entry(Event.STARTED, Status.RUNNING)
    Log(world.client, work(backfill_id), "dead").append(started)
    assert shown(world, backfill_id) == ["interrupted", "interrupted"]
    Log(world.client, work(backfill_id), "dead").append(replace(started, status=Status.ROLLING_BACK))
    [row] = read_works(world.client)
    assert (row.status, row.completed_at) == ("rolling back", None)
    assert standing("running", "paused", is_at_work=True) == "running"
    assert standing("rolling back", "cancelled", is_at_work=False) == "rolling back"


def test_an_order_overrules_the_pauses_before_it_and_never_a_cancel() -> None:
    def one(status: Status, minutes: int) -> Ask:
        at = NOON + timedelta(minutes=minutes)
        return Ask(status, "bob", "because", f"run {minutes}", at, at, NOON)

    before, since, ahead = (one(Status.PAUSED, minutes) for minutes in (-10, -2, 5))
    cancel = one(Status.CANCELLED, -20)
    assert overruled([cancel, before, since, ahead], NOON - timedelta(minutes=5)) == {before, ahead}
    assert outranking([]) is None
    assert outranking([before, since]) is since
    assert outranking([cancel, before]) is cancel
