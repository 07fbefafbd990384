"""What is said of work that happened: no more than its log knows, and nothing of who was not asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from dags.domain.units import EPOCH
from dags.web_preaggregated_backfill.why import work_text
from dags.work.audit.log import Entry, Event, State, Status, Work, state_of
from dags.work.history import as_dict


def ended(work: Work, end: Entry) -> State:
    """Work that ada asked for, and that came to an end."""
    stamps = [EPOCH + timedelta(minutes=minute) for minute in range(2)]
    events = [
        Entry(Event.ACCEPTED, Status.ACCEPTED, at=stamps[0], server_at=stamps[0], requested_by="ada", reason="late"),
        replace(end, status=Status.COMPLETED, at=stamps[1], server_at=stamps[1]),
    ]
    state = state_of(work, events)
    assert state is not None
    return state


def test_of_an_end_that_nobody_asked_for_it_is_not_said_that_a_person_did() -> None:
    said = {
        Entry(Event.ENDED): ("", "completed"),
        Entry(Event.ENDED, requested_by="grace", reason="enough"): ("by grace: enough", "completed: by grace: enough"),
        Entry(Event.ENDED, payload="a ceiling"): ("a ceiling", "completed: a ceiling"),
    }
    for end, (words, what) in said.items():
        told = as_dict(ended(Work("copy-1", "copy", "numbers"), end))
        assert (told["outcome_words"], told["history"][-1]["what"]) == (words, what)


def test_work_without_days_is_told_without_days() -> None:
    first = "BACKFILL  copy-1, numbers{}, is completed now"
    assert work_text(ended(Work("copy-1", "copy", "numbers"), Entry(Event.ENDED))).startswith(first.format(""))
    days = Work("copy-1", "copy", "numbers", "2026-01-01", "2026-01-02")
    assert work_text(ended(days, Entry(Event.ENDED))).startswith(first.format(" of 2026-01-01 … 2026-01-02"))
