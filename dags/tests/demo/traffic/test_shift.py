"""An old trace moves to the last weeks by whole days; today and the future get nothing."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.demo.traffic.page_views import NO_CAMPAIGN, PageView
from dags.demo.traffic.shift import Shift, apply_shift, plan_shift

TODAY = date(2026, 3, 10)
YESTERDAY = TODAY - timedelta(days=1)


def hits(*instants: str) -> dict[date, datetime]:
    """Give the last hits of days by their instants in UTC."""
    parsed = [datetime.fromisoformat(instant).replace(tzinfo=UTC) for instant in instants]
    return {at.date(): at for at in parsed}


def view(at: datetime) -> PageView:
    """Make a page view at an instant."""
    return PageView(at, "10.0.0.1", "", "", "/", "", NO_CAMPAIGN)


@pytest.mark.parametrize(
    ("last_hit_by_day", "days"),
    [
        pytest.param(hits("1995-08-07 23:59:59", "1995-08-08 15:12:42"), 11172, id="cut in the middle of a day"),
        pytest.param(hits("2025-12-17 23:01", "2025-12-31 23:45:55"), 68, id="ends with its last day"),
        pytest.param(hits("2025-12-17 23:01", "2025-12-31 23:00:00"), 68, id="last hit as the final hour begins"),
        pytest.param(hits("2025-12-17 23:01", "2025-12-31 22:59:59"), 69, id="last hit before the final hour"),
        pytest.param(hits("2025-12-29 12:00", "2025-12-31 12:00"), 69, id="the last full day has no hit at all"),
        pytest.param(hits("2025-12-31 12:00"), 68, id="one partial day"),
        pytest.param(hits("2025-12-31 23:30"), 68, id="one full day"),
        pytest.param(hits("2026-03-08 23:30"), 1, id="ended the day before yesterday"),
        pytest.param(hits("2026-03-08 23:30", "2026-03-09 10:00"), 0, id="ends yesterday, however early"),
        pytest.param(hits("2026-03-09 23:30", "2026-03-10 10:00"), 0, id="still running today"),
        pytest.param(hits("2026-03-10 10:00"), -1, id="began today"),
        pytest.param(hits("2026-03-11 10:00", "2031-01-01 00:00"), 0, id="all in the future"),
        pytest.param(hits("2025-12-31 23:30", "2031-01-01 00:00"), 68, id="one wrong clock in the future"),
        pytest.param({}, 0, id="no hit"),
    ],
)
def test_the_last_full_day_becomes_yesterday(last_hit_by_day: dict[date, datetime], days: int) -> None:
    assert plan_shift(last_hit_by_day, TODAY).days == days


def test_a_shift_says_in_words_what_it_does() -> None:
    reason = plan_shift(hits("1995-08-07 23:59:59", "1995-08-08 15:12:42"), TODAY).reason
    assert reason == "last full day 1995-08-07 became 2026-03-09: shifted by 11,172 days"
    assert plan_shift(hits("2026-03-09 10:00"), TODAY).reason == "has hits up to 2026-03-09: times kept"


def test_an_instant_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="naive datetime"):
        plan_shift({YESTERDAY: datetime(2026, 3, 9, 12)}, TODAY)  # noqa: DTZ001 - the error that is meant


def test_page_views_before_today_are_kept_and_the_others_counted() -> None:
    midnight = datetime.combine(TODAY, time(), tzinfo=UTC)
    instants = [midnight + timedelta(milliseconds=offset) for offset in (-86_400_000, -1, 0, 1, 86_400_000)]
    kept, dropped = apply_shift([view(at) for at in instants], Shift(0, ""), TODAY)
    assert (kept, dropped) == ([view(at) for at in instants[:2]], 3)


def test_a_shift_moves_by_whole_days_and_changes_nothing_else() -> None:
    at = datetime(1995, 8, 1, 4, 0, 7, tzinfo=UTC)
    kept, dropped = apply_shift([view(at)], Shift(11172, ""), TODAY)
    assert (kept, dropped) == ([view(datetime(2026, 3, 3, 4, 0, 7, tzinfo=UTC))], 0)


@given(
    st.lists(
        st.one_of(
            st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
            st.integers(-40, 3).map(lambda day: datetime.combine(TODAY, time(23), UTC) + timedelta(days=day)),
        )
    )
)
def test_whatever_a_trace_holds_nothing_lands_on_today_or_later_and_nothing_is_lost(
    instants: list[datetime],
) -> None:
    last_hit_by_day = {at.date(): at for at in sorted(instants)}
    shift = plan_shift(last_hit_by_day, TODAY)
    kept, dropped = apply_shift([view(at) for at in instants], shift, TODAY)
    assert len(kept) + dropped == len(instants)
    assert shift.days >= (-1 if min(last_hit_by_day, default=None) == TODAY else 0)
    assert all(page_view.at.date() < TODAY for page_view in kept)
