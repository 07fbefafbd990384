"""How much of a piece of work is done, and how long the rest takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from dags.domain.units import EPOCH
from dags.work.audit.log import DIED, Entry, Event, Status, Work, state_of
from dags.work.plan import Estimate
from dags.work.progress import seconds_at_work, time_left


def test_time_left_is_the_estimate_corrected_by_how_wrong_it_was() -> None:
    part = Estimate(rows=0, bytes=0, seconds=10.0, usd=0.0)
    assert time_left(part, part, 30.0) == 30.0
    assert time_left(part, part.model_copy(update={"seconds": 0.0}), 5.0) == 10.0


def test_time_at_work_is_by_the_servers_clock_whatever_stamps_order_the_log() -> None:
    def at(event: str, status: str, second: int) -> Entry:
        """An event after one that a host stamped whose clock was ten minutes ahead."""
        now = EPOCH + timedelta(seconds=second)
        return Entry(event, status, seconds=0.5, at=now + timedelta(minutes=10), server_at=now)

    work = Work("copy-1", "copy", "numbers")
    entries = [at(Event.ACCEPTED, Status.ACCEPTED, 0), at(Event.STARTED, Status.RUNNING, 1)]
    for others, read, seconds in (
        ([], 5, 4.5),
        ([at(Event.ENDED, Status.PAUSED, 3)], 9, 2.5),
        ([], 0, 0.5),  # the server's clock was set back meanwhile
    ):
        state = state_of(work, [*entries, *others], EPOCH + timedelta(seconds=read))
        assert state is not None
        assert seconds_at_work(state) == seconds


def test_a_run_that_died_was_at_work_until_it_was_last_heard_of() -> None:
    def at(second: int, run_id: str, event: str, status: str = "", name: str = "") -> Entry:
        return Entry(event, status, name=name, run_id=run_id, server_at=EPOCH + timedelta(seconds=second))

    work = Work("copy-1", "copy", "numbers")
    begun = [
        at(0, "one", Event.ACCEPTED, Status.ACCEPTED),
        at(1, "one", Event.STARTED, Status.RUNNING),
        at(5, "one", Event.STEP_DONE),
        at(50, "asking", Event.CONTROL, name="paused"),
    ]
    for others, status, seconds in (
        ([], "", 99),  # it lives: until the log is read
        ([], Status.INTERRUPTED, 4),
        ([at(65, "one", Event.ENDED, Status.INTERRUPTED, DIED)], "", 4),
        ([at(65, "cancelling", Event.ENDED, Status.CANCELLED)], "", 4),
        ([at(65, "two", Event.STARTED, Status.RUNNING), at(67, "two", Event.ENDED, Status.COMPLETED)], "", 4 + 2),
        ([at(65, "two", Event.STARTED, Status.ROLLING_BACK)], "", 4),
    ):
        state = state_of(work, [*begun, *others], EPOCH + timedelta(seconds=100))
        assert state is not None
        assert seconds_at_work(replace(state, status=status or state.status)) == seconds
