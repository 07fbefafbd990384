"""A second kind of work, which copies ranges of numbers: it knows no table that is watched, no day and no team, and has
all that a managed backfill has, from `dags.work` alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dags.clickhouse.leases.rules import lease_name, work_lease
from dags.domain.errors import LeaseError, LeaseLostError, UserError
from dags.tests.variants import embedded_at_night
from dags.tests.work.copies import COPIED, WHO, Copies, Copy, CopyPlan, Ranges, planned
from dags.tests.work.seams import CHUNK_OVER, STEP_OVER, after_event
from dags.work import control
from dags.work.audit.log import Entry, Event, Status, Work
from dags.work.audit.store import Log, read_works, require_state
from dags.work.document import as_yaml, from_yaml
from dags.work.lease import leased
from dags.work.plan import Ceilings
from dags.work.plan_files import read_plan, save_plan
from dags.work.progress import report, report_text
from dags.work.request import refusal, webhook_problems

if TYPE_CHECKING:
    from pathlib import Path


@embedded_at_night
def test_a_copy_is_stopped_by_its_ceiling_by_a_person_and_by_a_kill_and_comes_to_the_same(
    copies: Copies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(ceilings=Ceilings(source_rows=20))
    save_plan(tmp_path, "copy", as_yaml(plan))
    assert from_yaml(read_plan(tmp_path, "copy"), CopyPlan, {"": CopyPlan, "chunks": Ranges}) == plan
    work = copies.accept(plan, "run-0001-first")
    assert work.work_id == "copy-run-0001"
    # Another run whose id begins alike asks for work of its own; the same run for that which it has asked for.
    assert copies.accept(plan, "run-0001-second").work_id == "copy-run-0001-second"
    assert copies.accept(plan, "run-0001-first") == work

    state = copies.runner(work, "run-1").run()
    assert (state.status, sorted(state.done)) == ("paused", ["0-10", "10-20"])
    assert state.entries[-1].payload == "20 source rows were read, the plan's ceiling is 20: resume it"
    [reached] = copies.progress
    assert (reached.percent, reached.source_rows, reached.source_rows_estimated) == (25.0, 20, 80)
    # Three quarters are left, at the pace of the first, the half second of planning included.
    assert reached.left == pytest.approx(3 * reached.elapsed)
    assert reached.elapsed > 0.5
    [chunk, end] = copies.messages
    assert (chunk["copy_id"], chunk["target"], chunk["percent"]) == (work.work_id, COPIED, 25.0)
    assert chunk["chunk"]["ranges"] == ["0-10", "10-20"]
    assert (end["status"], end["total_rows"], end["chunk"]) == ("paused", 20, None)

    with monkeypatch.context() as asking:
        text: list[str] = []
        after_event(
            asking, STEP_OVER, 2,
            lambda one: text.append(control.pause(copies.client, copies.kind, one.work_id, "person", **WHO)),
        )  # fmt: skip
        state = copies.runner(work, "run-2", ceilings=Ceilings()).run()
    assert text[0] == f"ASKED    {work.work_id} ends its chunk, then it is paused"
    assert (state.status, len(state.done), state.entries[-1].payload) == ("paused", 4, "asked by bob: because")

    def killed(_: Work) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killing:
        after_event(killing, STEP_OVER, 3, killed)
        with pytest.raises(KeyboardInterrupt):
            copies.runner(work, "run-3", ceilings=Ceilings()).run()
    assert copies.statuses() == ["accepted", "interrupted"]
    # What the killed run had done in its chunk is not done again, and what it had begun is dropped.
    broken = Copy(plan, frozenset({"60-70"}))
    state = copies.runner(work, "run-4", ceilings=Ceilings(), worker=broken, parallelism=3).run()
    assert copies.fenced[-1] == {"run-0001-first", "run-1", "run-2", "run-3", "person"}
    assert (state.status, sorted(state.failed), len(state.done)) == ("failed", ["60-70"], 7)
    assert report(plan.chunks, state)["chunks"][3]["error"] == "60-70: a number is missing"
    state = copies.runner(work, "run-5").run()
    assert (state.status, copies.numbers()) == ("completed", list(range(80)))
    done = Counter(entry.step for entry in state.entries if entry.event == Event.STEP_DONE)
    assert set(done.values()) == {1}
    shown = report_text("a copy", plan.chunks, state)
    assert "4 of 4 chunks done, 0 failed; 80 rows" in shown
    assert "GATES    5 passed, 0 failed" in shown


def test_a_copy_is_cancelled_for_good_deleted_by_its_whole_id_and_is_no_backfill(copies: Copies) -> None:
    work = copies.accept(planned(), "run-1")
    client, kind = copies.client, copies.kind
    with leased(client, kind, work, "run-1", print):
        Log(client, work, "run-1").append(Entry(Event.STARTED, Status.RUNNING))
        assert copies.statuses() == ["running"]
        with pytest.raises(LeaseError, match=r"by run run_1\. .* cancel the copy first\. If .* after 60 s"):
            copies.runner(work, "run-2").run()
        assert control.cancel(client, kind, "copy-r", "person", **WHO).endswith("then it is cancelled")
        with pytest.raises(LeaseError):
            control.delete(client, kind, work.work_id, "person", **WHO)
    # The run died: what was asked of it is so, and whoever comes next carries it out.
    assert copies.statuses() == ["cancelled"]
    state = copies.runner(work, "run-2").run()
    assert (state.status, state.done) == ("cancelled", {})
    with pytest.raises(UserError, match="only one that is not over can be resumed"):
        copies.runner(work, "run-3").run()
    with pytest.raises(
        UserError, match="copy_id is 'copy-r': a deletion cannot be undone, so give the whole id, copy-run-1"
    ):
        control.delete(client, kind, "copy-r", "person", **WHO)
    text = control.delete(client, kind, work.work_id, "person", **WHO)
    assert text == "DELETED  copy-run-1: what it copied is dropped, the audit stays"
    assert copies.statuses() == []
    [row] = read_works(client, kinds=["copy"])
    assert (row.work, row.status, row.requested_by) == (work, "deleted", "bob")
    assert client.query("SELECT count() FROM backfill_log").result_rows == [(0,)]
    with pytest.raises(UserError, match="backfill_id is 'copy-run-1': no backfill's id begins so"):
        require_state(client, replace(kind, name="managed", word="backfill"), work.work_id)


def test_a_copy_that_was_robbed_says_nothing_more_and_one_without_a_target_does_not_begin(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = copies.accept(planned(), "run-1")

    def robbed(one: Work) -> None:
        copies.client.command(f"DROP TABLE {lease_name(*work_lease(one.work_id, one.first_step))} SYNC")

    with monkeypatch.context() as robbing:
        after_event(robbing, CHUNK_OVER, 2, robbed)
        with pytest.raises(LeaseLostError, match=r"too long; now nobody acts on it\. .* show_\w+_job says"):
            copies.runner(work, "run-1").run()
    assert len(copies.numbers()) == 40
    assert require_state(copies.client, copies.kind, work.work_id).entries[-1].event == Event.CHUNK_DONE
    copies.client.command(f"DROP TABLE {COPIED} SYNC")
    state = copies.runner(work, "run-2").run()
    assert (state.status, [gate.is_passed for gate in state.gates()]) == ("failed", [True, False])


def test_every_violation_of_a_request_is_said_at_once() -> None:
    problems = [*webhook_problems("ftp://a?token=b", ["c"]), "ranges is empty: give at least one"]
    assert str(refusal("the copy", problems)).splitlines() == [
        "the copy was refused, nothing was touched:",
        "webhook is no http or https address: give https://host/path",
        problems[1],
        "ranges is empty: give at least one",
    ]
    assert problems[1].startswith("webhook carries a user, a query or a fragment, which would be kept in the plan")
