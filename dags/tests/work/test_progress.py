"""How much of a piece of work is done, and how long the rest takes."""

from __future__ import annotations

from datetime import timedelta

from dags.domain.units import EPOCH
from dags.work.audit.log import Entry, Event, Status, Work, state_of
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
