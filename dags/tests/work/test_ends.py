"""How work ends: once, as was promised to whoever asked, and alike in the log, in the lists and for a resume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from dags.clickhouse import failures
from dags.clickhouse.leases.rules import lease_name, work_lease
from dags.domain.errors import NoLeaseError, UserError
from dags.domain.units import EPOCH
from dags.tests.runbook import symptom
from dags.tests.variants import server_at_night, variants
from dags.tests.work.copies import WHO, Copy, CopyPlan, planned
from dags.tests.work.seams import STEP_OVER, after_event
from dags.work import control
from dags.work.audit.log import Ask, Entry, Event, Status, Work, asks_of, unheard_of
from dags.work.audit.store import Log, read_works, require_state
from dags.work.document import MAX_KEYS, as_yaml
from dags.work.lease import WorkLease
from dags.work.orders import Ended
from dags.work.plan import Ceilings
from dags.work.runner import Listeners

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.tests.work.copies import Copies, Ranges
    from dags.work.audit.log import State
    from dags.work.runner import AtWork

# Each is a whole piece of work, from its plan to its end.
pytestmark = [pytest.mark.story, server_at_night]

QUIET = Listeners(lambda _: None, lambda *_: None, lambda _: None)


def short(**given: Any) -> CopyPlan:
    """Two chunks of two ranges."""
    return CopyPlan(chunks=planned().chunks[:2], **given)


def ends(copies: Copies, work: Work) -> list[str]:
    """Each end that the log has."""
    state = require_state(copies.client, copies.kind, work.work_id)
    return [entry.status for entry in state.entries if entry.event == Event.ENDED]


def everywhere(copies: Copies, work: Work) -> set[str]:
    """What the log, the rows of the audit and the list say that it is."""
    [row] = [one for one in read_works(copies.client, kinds=["copy"]) if one.work_id == work.work_id]
    [shown] = [one for one in control.listed(copies.client, copies.kind, limit=99) if one.work_id == work.work_id]
    return {require_state(copies.client, copies.kind, work.work_id).status, row.status, shown.status}


def around_the_end(patch: pytest.MonkeyPatch, *, before: Callable[[], Any] = list, after: Callable[[], Any]) -> None:
    """Do something right before and right after the first end is recorded."""
    append, seen = Log.append, list[Entry]()

    def appended(itself: Log, *entries: Entry) -> None:
        is_first = entries[0].event == Event.ENDED and not entries[0].requested_by and not seen
        if is_first:
            seen.append(entries[0])
            before()
        append(itself, *entries)
        if is_first:
            after()

    patch.setattr(Log, "append", appended)


def test_an_end_that_is_in_the_log_stands_whatever_fails_after_it(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "FIRST_WAIT_SECONDS", 0.0)
    plan = short()

    def raising(error: BaseException) -> Callable[..., Any]:
        def raised(*_: Any) -> Any:
            raise error

        return raised

    class Unreported(Copy):
        def report(self, state: State) -> dict[str, Any]:
            raise ZeroDivisionError(state.status)

    def hung_up(message: Any) -> None:
        if message["chunk"] is None:
            raise KeyboardInterrupt

    faults: list[tuple[BaseException, dict[str, Any]]] = [
        (OperationalError("the answer was lost"), {}),
        (DatabaseError("and it is not known whether it is there"), {}),
        (KeyboardInterrupt(), {"listeners": replace(QUIET, notify=hung_up)}),
    ]
    cases: list[tuple[str, dict[str, Any], BaseException, dict[str, Any]]] = [
        ("completed", {"worker": Unreported(plan)}, ZeroDivisionError(), {}),
        *(("completed", {}, *fault) for fault in faults),
        *(("failed", {"worker": Copy(plan, frozenset({"0-10"}))}, *fault) for fault in faults),
        *(("paused", {"ceilings": Ceilings(source_rows=1)}, *fault) for fault in faults),
    ]
    for number, (status, given, error, changes) in enumerate(cases):
        work = copies.accept(plan, f"{number}-{status}")
        runner = copies.runner(work, f"run-{number}", **{"listeners": QUIET, **given, **changes})
        with monkeypatch.context() as cut:
            if isinstance(error, OperationalError | DatabaseError):
                around_the_end(cut, after=raising(error))
            if isinstance(error, OperationalError):
                assert runner.run().status == status
            else:
                with pytest.raises(type(error)):
                    runner.run()
        assert set(ends(copies, work)) == {status}
        assert everywhere(copies, work) == {status}


@pytest.mark.parametrize("ask", variants(control.cancel, control.pause))
def test_what_is_asked_while_gates_are_asked_is_done_whatever_they_say(copies: Copies, ask: Callable[..., str]) -> None:
    wanted = "paused" if ask is control.pause else "cancelled"
    text: list[str] = []

    class AskedInBegin(Copy):
        def begin(self, at: AtWork) -> Copy | Ended:
            text.append(ask(at.client, copies.kind, at.log.work.work_id, "person", **WHO))
            return super().begin(at)

    class BeginFails(AskedInBegin):
        def begin(self, at: AtWork) -> Copy | Ended:
            super().begin(at)
            return Ended(Status.FAILED, "a gate failed")

    class AskedInJudge(Copy):
        def judge(self, at: AtWork) -> Ended:
            text.append(ask(at.client, copies.kind, at.log.work.work_id, "person", **WHO))
            return super().judge(at)

    asked = "asked by bob: because"
    for number, (worker, words) in enumerate(
        [
            (AskedInBegin(short()), asked),
            (BeginFails(short()), f"{asked}; a gate failed"),
            (AskedInJudge(short()), asked),
            (AskedInJudge(short(), frozenset({"0-10"})), f"{asked}; 1 ranges failed"),
        ]
    ):
        work = copies.accept(short(), f"asked-{number}")
        state = copies.runner(work, f"run-{number}", worker=worker).run()
        assert text.pop().endswith(f"then it is {wanted}")
        assert (ends(copies, work), state.entries[-1].payload) == ([wanted], words)
        assert everywhere(copies, work) == {wanted}
        if wanted == "paused":
            assert copies.runner(work, f"again-{number}").run().status == "completed"
        else:
            with pytest.raises(UserError, match="only one that is not over can be resumed"):
                copies.runner(work, f"again-{number}").run()


def test_a_request_in_the_moment_of_the_end_is_done_or_refused_for_good(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, kind, text = copies.client, copies.kind, list[str]()

    def ask(work: Work, how: Callable[..., str] = control.cancel) -> Callable[[], None]:
        return lambda: text.append(how(client, kind, work.work_id, "person", **WHO))

    # Right before the end is recorded, when the run has listened for the last time before it: it hears it after.
    for how, wanted in ((control.cancel, "cancelled"), (control.pause, "paused")):
        work = copies.accept(short(), f"{wanted}-before")
        with monkeypatch.context() as late:
            around_the_end(late, before=ask(work, how), after=list)
            assert copies.runner(work, "run-1").run().status == wanted
        assert text.pop().endswith(f"then it is {wanted}")
        assert (ends(copies, work), everywhere(copies, work)) == (["completed", wanted], {wanted})

    # By who had looked while it was running, and whose request comes after the end: refused, and never carried out.
    monkeypatch.setattr(control, "LAST_MOMENTS_SECONDS", 0.0)
    for broken, status in ((frozenset[str](), "completed"), (frozenset({"0-10"}), "failed")):
        work = copies.accept(short(), f"{status}-after")
        looked: list[State] = []

        def look(one: Work, looked: list[State] = looked) -> None:
            looked.append(require_state(client, kind, one.work_id))

        after_event(monkeypatch, STEP_OVER, 2, look)

        def too_late(message: Any, work: Work = work, looked: Sequence[State] = looked) -> None:
            if message["chunk"] is None:
                with monkeypatch.context() as stale:
                    real, before = require_state, [looked[-1]]
                    stale.setattr(control, "require_state", lambda *of: before.pop() if before else real(*of))
                    with pytest.raises(UserError, match="it cannot be cancelled"):
                        ask(work)()

        state = copies.runner(
            work, "run-1", listeners=replace(QUIET, notify=too_late), worker=Copy(short(), broken)
        ).run()
        assert [entry.name for entry in require_state(client, kind, work.work_id).entries][-1] == "cancelled"
        assert (state.status, everywhere(copies, work)) == (status, {status})
        if status == "failed":
            assert copies.runner(work, "run-2").run().status == "completed"


def test_what_is_named_like_the_lease_of_a_work_is_said_and_is_no_run(copies: Copies) -> None:
    client, kind = copies.client, copies.kind
    work = copies.accept(short(), "run-1")
    name = lease_name(*work_lease(work.work_id, work.first_step))
    client.command(f"CREATE VIEW {name} AS SELECT 1 AS token")
    events = len(require_state(client, kind, work.work_id).entries)
    words = f"{name} is no lease, though it has a lease's name"
    with pytest.raises(NoLeaseError, match=symptom("… is no lease, though it has a lease's name")):
        copies.runner(work, "run-2").run()
    for act in (control.pause, control.cancel, control.delete):
        with pytest.raises(NoLeaseError, match=words):
            act(client, kind, work.work_id, "person", **WHO)
    assert len(require_state(client, kind, work.work_id).entries) == events
    client.command(f"DROP VIEW {name} SYNC")
    assert copies.runner(work, "run-2").run().status == "completed"


def test_what_failing_steps_read_counts_for_the_ceiling_and_in_the_report(copies: Copies) -> None:
    class Costly(Copy):
        def do(self, at: AtWork, chunk: Ranges, step: str) -> Sequence[Entry]:
            return [replace(entry, source_rows=10, rows_read=10) for entry in super().do(at, chunk, step)]

    every = frozenset(step for chunk in short().chunks for step in chunk.steps)
    work = copies.accept(short(ceilings=Ceilings(source_rows=15)), "run-1")
    state = copies.runner(work, "run-2", worker=Costly(short(), every)).run()
    assert (state.status, len(state.failed)) == ("paused", 2)
    assert "20 source rows were read" in state.entries[-1].payload
    assert Copy(short()).report(state)["rows_read"] == 20


def test_a_deletion_is_in_the_audit_before_anything_is_dropped_and_can_be_done_again(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, dropped = copies.client, list[Work]()
    work = copies.accept(short(), "run-1")
    assert copies.runner(work, "run-2").run().status == "completed"

    def discard(_: Client, one: Work) -> str:
        dropped.append(one)
        return "it is dropped"

    def full(*_: Any) -> str:
        raise DatabaseError("the disk is full")

    kind = replace(copies.kind, discard=discard)
    with monkeypatch.context() as patch:
        patch.setattr(Log, "append", full)
        with pytest.raises(DatabaseError):
            control.delete(client, kind, work.work_id, "person", **WHO)
    assert (dropped, everywhere(copies, work)) == ([], {"completed"})
    with pytest.raises(UserError, match=r"is deleted in the audit, .* Run delete_copy_job again"):
        control.delete(client, replace(kind, discard=full), work.work_id, "person", **WHO)
    assert [row.status for row in read_works(client, kinds=["copy"])] == ["deleted"]
    assert control.delete(client, kind, work.work_id, "person", **WHO).startswith("DELETED")
    assert dropped == [work]


def test_a_request_counts_until_the_work_finishes_and_strange_events_ask_for_nothing() -> None:
    def events(*of: tuple[str, str]) -> list[Entry]:
        at = [EPOCH + timedelta(seconds=number) for number in range(1, 99)]
        return [
            Entry(event, "" if event == Event.CONTROL else word, name=word, requested_by="bob", at=at[number])
            for number, (event, word) in enumerate(of)
        ]

    cancel, pause, strange = (("control", word) for word in ("cancelled", "paused", "stop"))
    started, failed, paused = ("started", "running"), ("ended", "failed"), ("ended", "paused")

    def asks(*of: tuple[str, str]) -> list[tuple[str, bool]]:
        return [(one.status, one.is_settled) for one in asks_of(events(*of), EPOCH)]

    assert asks(cancel, failed, cancel, started, cancel) == [
        ("cancelled", True), ("cancelled", True), ("cancelled", False)
    ]  # fmt: skip
    assert asks(strange, ("odd", "paused"), ("started", "rolling back"), ("control", "")) == []
    assert asks(started, paused, pause) == [("paused", False), ("paused", False)]
    for found, expected in (
        ((started, pause), "paused"),
        ((started, pause, started), ""),
        ((started, cancel, pause, started), "cancelled"),
        ((started, cancel, failed), ""),
        ((started, failed, cancel), ""),
        ((started, failed, cancel, started), ""),
        ((started, strange), ""),
        ((started, paused), ""),
    ):
        assert unheard_of(events(*found)) == expected, found
    assert isinstance(asks_of(events(cancel), EPOCH)[0], Ask)


class WordlessError(Exception):
    """An error of somebody else's whose words cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_whatever_a_step_comes_to_is_recorded_and_one_that_tells_no_end_is_not_gone_through(copies: Copies) -> None:
    @dataclass(frozen=True)
    class Odd(Copy):
        act: Callable[[], Sequence[Entry]] = tuple

        def do(self, at: AtWork, chunk: Ranges, step: str) -> Sequence[Entry]:
            return self.act() if step == "10-20" else super().do(at, chunk, step)

    def raising(error: Exception) -> Callable[[], Sequence[Entry]]:
        def raised() -> Sequence[Entry]:
            raise error

        return raised

    half = Entry(Event.STEP_FAILED, step="10-20", chunk=1, payload="half a character \ud800")
    for number, (act, error, words) in enumerate(
        [
            (raising(ValueError("half \ud800")), ValueError, "ValueError: half \\ud800"),
            (
                raising(WordlessError()),
                WordlessError,
                "WordlessError: its words cannot be read, which raises RuntimeError",
            ),
            (list, ValueError, "step 10-20 of chunk 1 ended with nothing"),
            (lambda: [Entry(Event.GATE, step="10-20", chunk=1)], ValueError, "ended with gate of 10-20"),
            (lambda: [Entry(Event.STEP_DONE, step="0-10", chunk=1)], ValueError, "ended with step_done of 0-10"),
        ]
    ):
        work = copies.accept(short(), f"odd-{number}")
        with pytest.raises(error):
            copies.runner(work, "run-1", worker=Odd(short(), act=act)).run()
        state = require_state(copies.client, copies.kind, work.work_id)
        assert (state.status, list(state.done)) == ("interrupted", ["0-10"])
        assert words in state.entries[-1].payload
    work = copies.accept(short(), "half")
    state = copies.runner(work, "run-1", worker=Odd(short(), act=lambda: [half])).run()
    assert state.failed["10-20"].payload == "half a character \\ud800"


def test_what_cannot_be_gone_on_with_is_refused_before_it_is_accepted(copies: Copies) -> None:
    client, plan = copies.client, as_yaml(short())

    def accept(work_id: str, plan: str, reason: str = "because", kind: str = "copy") -> None:
        log = Log(client, Work(work_id, kind, "numbers_copied", "0-10", "30-40"), "run-1")
        control.accept(log, plan, "bob", reason, planned_in=0.0)

    accept("copy-1", plan)
    crowded = "\n".join(f"k{number}: 1" for number in range(MAX_KEYS + 1))
    for work_id, text, reason, words in (
        ("copy-\u00e9", plan, "because", "cannot be that of work: give letters, digits and '-'"),
        ("copy-" + "x" * 300, plan, "because", "at most 100 characters"),
        ("copy_1", plan, "because", "'copy_1' cannot be that of work"),
        ("copy-1", plan, "because", "copy-1 is in the log already, of kind copy"),
        ("copy-2", crowded, "because", "more than 100,000 keys"),
        ("copy-2", "name: \ud800", "because", "characters that no YAML has"),
        ("copy-2", plan, "half \ud800", r"reason holds what is not shown as it is \(U\+D800\)"),
        ("copy-2", plan, " ", "reason is empty"),
    ):
        with pytest.raises(UserError, match=words):
            accept(work_id, text, reason, kind="move")
    assert len(read_works(client)) == 1


def test_a_server_that_is_gone_for_a_moment_between_two_steps_ends_nothing(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "FIRST_WAIT_SECONDS", 0.0)
    failed: list[str] = []

    class Stopped(Copy):
        def why_stop(self, _: AtWork) -> None:
            fails_once("why_stop")

    def fails_once(name: str) -> None:
        if name not in failed:
            failed.append(name)
            raise OperationalError(f"{name}: connection refused")

    def flaky(of: type, name: str) -> None:
        real = getattr(of, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            if is_on:
                fails_once(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(of, name, called)

    is_on: list[bool] = []
    work = copies.accept(short(), "run-1")
    runner = copies.runner(work, "run-1", worker=Stopped(short()))
    for of, name in ((Log, "asks"), (Log, "read"), (Log, "append"), (WorkLease, "confirm")):
        flaky(of, name)
    after_event(monkeypatch, STEP_OVER, 1, lambda _: is_on.append(True))
    assert runner.run().status == "completed"
    assert sorted(failed) == ["append", "asks", "confirm", "read", "why_stop"]
