"""Which days are judged and which are closed, to the millisecond; and days said as ranges."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.domain.days import MAX_LOOKBACK_DAYS, Calendar, DayRange, calendar, in_words, merged, start_of
from dags.tests.events import at

D = date(2026, 3, 10)
FIRST_DAY = date(2024, 1, 1)
# Of sessions, which begin on one day and end on the next.
REACH = 1
MILLISECOND = timedelta(milliseconds=1)


def hours(count: int) -> timedelta:
    return timedelta(hours=count)


def days_of(start: str, end: str) -> DayRange:
    return DayRange(date.fromisoformat(start), date.fromisoformat(end))


def of(now: datetime, settle_hours: int = 1, lookback_days: int = 30) -> Calendar:
    return calendar(now, lookback_days=lookback_days, settle=hours(settle_hours), first_day=FIRST_DAY)


# --- The calendar -----------------------------------------------------------------------------------------

# now, settle hours, the last day judged, the first day that is open: the edges of D = 2026-03-10 and its neighbours.
EDGES = {
    "settle 0, a moment before midnight: D is today": ("2026-03-10 23:59:59.999", 0, "2026-03-09", "2026-03-09"),
    "settle 0, at midnight: D is judged": ("2026-03-11 00:00:00.000", 0, "2026-03-10", "2026-03-10"),
    "settle 0, a moment after": ("2026-03-11 00:00:00.001", 0, "2026-03-10", "2026-03-10"),
    "settle 0, a moment before D closes": ("2026-03-11 23:59:59.999", 0, "2026-03-10", "2026-03-10"),
    "settle 0, D closes at D+2 00:00": ("2026-03-12 00:00:00.000", 0, "2026-03-11", "2026-03-11"),
    "settle 1, at midnight D has to settle": ("2026-03-11 00:00:00.000", 1, "2026-03-09", "2026-03-09"),
    "settle 1, a moment before it has": ("2026-03-11 00:59:59.999", 1, "2026-03-09", "2026-03-09"),
    "settle 1, it has": ("2026-03-11 01:00:00.000", 1, "2026-03-10", "2026-03-10"),
    "settle 1, a moment before D closes": ("2026-03-12 00:59:59.999", 1, "2026-03-10", "2026-03-10"),
    "settle 1, D closes at D+2 01:00": ("2026-03-12 01:00:00.000", 1, "2026-03-11", "2026-03-11"),
    "settle 24, a moment before D is judged": ("2026-03-11 23:59:59.999", 24, "2026-03-09", "2026-03-09"),
    "settle 24, D is judged a day later": ("2026-03-12 00:00:00.000", 24, "2026-03-10", "2026-03-10"),
    "settle 24, D closes at D+3 00:00": ("2026-03-13 00:00:00.000", 24, "2026-03-11", "2026-03-11"),
    "settle 72, a moment before D is judged": ("2026-03-13 23:59:59.999", 72, "2026-03-09", "2026-03-09"),
    "settle 72, D is judged three days later": ("2026-03-14 00:00:00.000", 72, "2026-03-10", "2026-03-10"),
}


def test_a_calendar_of_some_days_judges_no_other_and_closes_alike() -> None:
    whole = of(at("2026-03-11 01:00:00"))
    assert whole.within(days_of("2026-03-01", "2026-03-03")) == Calendar(
        days_of("2026-03-01", "2026-03-03"), whole.settled_before
    )
    assert whole.within(days_of("2026-03-08", "2026-04-01")).judged == days_of("2026-03-08", "2026-03-11")
    assert len(whole.within(days_of("2025-01-01", "2025-01-03")).judged) == 0


@pytest.mark.parametrize(("now", "settle_hours", "last_judged", "first_open"), EDGES.values(), ids=EDGES.keys())
def test_a_day_is_judged_and_closed_at_its_instant_and_not_a_millisecond_before(
    now: str, settle_hours: int, last_judged: str, first_open: str
) -> None:
    found = of(at(now), settle_hours)
    start = at(now).date() - timedelta(days=30)
    expected_end = date.fromisoformat(last_judged) + timedelta(days=1)
    assert found == Calendar(DayRange(start, expected_end), expected_end)
    assert found.closed_before(REACH) == date.fromisoformat(first_open)
    assert found.closed_before(0) == expected_end


# Half of the instants lie within a millisecond of a midnight or of an hour after it, where days are won and lost.
_midnights = st.dates(date(2025, 1, 1), date(2027, 12, 31)).map(start_of)
_near_an_edge = st.builds(
    lambda midnight, hour, shift: midnight + hours(hour) + shift,
    _midnights,
    st.integers(0, 23),
    st.sampled_from([-MILLISECOND, -timedelta(microseconds=1), timedelta(0), timedelta(microseconds=1), MILLISECOND]),
)
_any_time = st.builds(lambda midnight, s: midnight + timedelta(seconds=s), _midnights, st.integers(0, 86_399))
_now = st.one_of(_near_an_edge, _any_time)
_settle = st.integers(0, 72)


@given(now=_now, settle_hours=_settle)
def test_a_day_is_judged_once_its_settle_time_has_passed_and_closed_a_session_later(
    now: datetime, settle_hours: int
) -> None:
    found = of(now, settle_hours, lookback_days=10)
    today = now.date()
    assert list(found.judged) == [
        day
        for day in (today - timedelta(days=n) for n in range(10, -3, -1))
        if day < today and now >= start_of(day) + hours(24 + settle_hours)
    ]
    for day in (today - timedelta(days=n) for n in range(10, -3, -1)):
        assert found.is_open(day, REACH) == (now < start_of(day) + hours(48 + settle_hours))


@given(now=_now, settle_hours=_settle, lookback_days=st.integers(1, MAX_LOOKBACK_DAYS))
def test_today_is_never_judged_nor_a_day_before_the_lookback_or_the_first_partition(
    now: datetime, settle_hours: int, lookback_days: int
) -> None:
    found = of(now, settle_hours, lookback_days)
    assert found.judged.start == max(now.date() - timedelta(days=lookback_days), FIRST_DAY)
    assert found.judged.end <= now.date()
    assert now.date() not in found.judged


@given(now=_now, settle_hours=_settle)
def test_time_only_adds_days_and_never_opens_a_closed_one(now: datetime, settle_hours: int) -> None:
    earlier, later = of(now, settle_hours), of(now + MILLISECOND, settle_hours)
    assert later.judged.end >= earlier.judged.end
    assert later.closed_before(REACH) >= earlier.closed_before(REACH)


@given(now=_now, settle_hours=_settle, offset_hours=st.integers(-12, 14))
def test_days_are_utc_days_wherever_the_clock_hangs(now: datetime, settle_hours: int, offset_hours: int) -> None:
    local = now.astimezone(timezone(hours(offset_hours)))
    assert of(local, settle_hours) == of(now, settle_hours)


def test_a_negative_settle_time_does_not_make_today_a_day_to_judge() -> None:
    assert of(at("2026-03-10 23:30:00"), settle_hours=-1).judged.end == D


def test_a_naive_now_is_refused_with_its_value() -> None:
    with pytest.raises(ValueError, match="aware") as refused:
        of(datetime(2026, 3, 10, 12))  # noqa: DTZ001 -- that is the point
    assert "datetime.datetime(2026, 3, 10, 12, 0)" in str(refused.value)


FIRST_DAYS = {
    "the look-back reaches before it": ("2024-01-03 12:00:00", 30, days_of("2024-01-01", "2024-01-03")),
    "the look-back ends on it": ("2024-01-31 12:00:00", 30, days_of("2024-01-01", "2024-01-31")),
    "the look-back does not reach it": ("2024-02-01 12:00:00", 30, days_of("2024-01-02", "2024-02-01")),
    "the longest look-back": ("2026-03-10 12:00:00", MAX_LOOKBACK_DAYS, days_of("2024-01-01", "2026-03-10")),
}


@pytest.mark.parametrize(("now", "lookback_days", "expected"), FIRST_DAYS.values(), ids=FIRST_DAYS.keys())
def test_the_window_is_clamped_to_the_first_partition(now: str, lookback_days: int, expected: DayRange) -> None:
    assert of(at(now), lookback_days=lookback_days).judged == expected


@pytest.mark.parametrize("now", ["2024-01-01 12:00:00", "2023-06-01 12:00:00"])
def test_before_the_first_partition_is_over_there_is_nothing_to_judge(now: str) -> None:
    assert list(of(at(now)).judged) == []
    assert len(of(at(now)).judged) == 0


def test_a_settle_time_longer_than_the_lookback_leaves_nothing_to_judge() -> None:
    assert list(of(at("2026-03-10 12:00:00"), settle_hours=72, lookback_days=3).judged) == []


def test_a_day_begins_at_its_utc_midnight() -> None:
    assert start_of(D) == datetime(2026, 3, 10, tzinfo=UTC)


# --- Ranges -----------------------------------------------------------------------------------------------

MERGED: dict[str, tuple[list[str], list[tuple[str, str]], str]] = {
    "no day": ([], [], "none"),
    "one day": (["2026-01-02"], [("2026-01-02", "2026-01-03")], "2026-01-02"),
    "consecutive days, in any order, twice": (
        ["2026-01-03", "2026-01-02", "2026-01-04", "2026-01-03"],
        [("2026-01-02", "2026-01-05")],
        "2026-01-02 … 2026-01-04",
    ),
    "a gap of one day parts": (
        ["2026-01-04", "2026-01-02"],
        [("2026-01-02", "2026-01-03"), ("2026-01-04", "2026-01-05")],
        "2026-01-02, 2026-01-04",
    ),
    "over the end of a leap February and of a year": (
        ["2024-02-28", "2024-02-29", "2024-03-01", "2025-12-31", "2026-01-01", "2026-01-09"],
        [("2024-02-28", "2024-03-02"), ("2025-12-31", "2026-01-02"), ("2026-01-09", "2026-01-10")],
        "2024-02-28 … 2024-03-01, 2025-12-31 … 2026-01-01, 2026-01-09",
    ),
}


@pytest.mark.parametrize(("days", "ranges", "words"), MERGED.values(), ids=MERGED.keys())
def test_consecutive_days_are_one_range_and_are_said_as_one(
    days: list[str], ranges: list[tuple[str, str]], words: str
) -> None:
    parsed = [date.fromisoformat(day) for day in days]
    assert merged(parsed) == tuple(days_of(*ends) for ends in ranges)
    assert in_words(parsed) == words


# Close together, so that neighbours and duplicates are the rule.
_days = st.lists(st.integers(0, 30).map(lambda n: date(2026, 2, 15) + timedelta(days=n)), max_size=40)


@given(days=_days)
def test_merging_keeps_exactly_the_days(days: list[date]) -> None:
    assert [day for part in merged(days) for day in part] == sorted(set(days))


@given(days=_days)
def test_ranges_are_never_empty_and_never_touch(days: list[date]) -> None:
    ranges = merged(days)
    assert all(len(part) > 0 for part in ranges)
    assert all(one.end < other.start for one, other in pairwise(ranges))


@given(days=_days)
def test_merging_what_was_merged_changes_nothing_and_order_does_not_matter(days: list[date]) -> None:
    assert merged(day for part in merged(days) for day in part) == merged(reversed(days)) == merged(days)


@given(
    first=st.dates(date(2025, 1, 1), date(2026, 12, 31)),
    length=st.integers(-3, 40),
    offset=st.integers(-5, 45),
)
def test_a_range_holds_its_start_and_not_its_end(first: date, length: int, offset: int) -> None:
    found = DayRange(first, first + timedelta(days=length))
    day = first + timedelta(days=offset)
    assert len(found) == len(list(found)) == max(length, 0)
    assert (day in found) == (day in list(found)) == (0 <= offset < length)


def test_what_is_no_day_is_in_no_range() -> None:
    assert "2026-03-10" not in DayRange(D, D + timedelta(days=1))
