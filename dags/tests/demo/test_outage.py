"""What the demo breaks, for traces of any length."""

from __future__ import annotations

from datetime import date

from dags.demo.outage import Outage, outage

DAYS = [date(2026, 1, day) for day in range(1, 8)]


def test_each_fault_has_days_of_its_own_the_newest_first() -> None:
    assert outage({1: DAYS[:4], 2: DAYS}) == Outage(DAYS[6], DAYS[5], 2, (DAYS[4], DAYS[3]))


def test_a_short_trace_has_room_for_some_faults_only() -> None:
    assert outage({1: DAYS[:2]}) == Outage(DAYS[1], DAYS[0], 1, ())
    assert outage({1: DAYS[:1]}) == Outage(DAYS[0], None, 1, ())
    assert outage({}) == Outage(None, None, None, ())


def test_the_outages_are_said_in_words() -> None:
    assert outage({7: DAYS}).words("stats") == [
        "2026-01-07 was never built",
        "2026-01-06 vanished from stats",
        "team 7 lost its rows of 2026-01-04 … 2026-01-05 in both tables",
    ]
    assert outage({}).words("stats") == []
