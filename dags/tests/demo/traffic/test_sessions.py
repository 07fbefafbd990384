"""Page views become events of visitors' sessions, the same ones however often the log is read."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.demo.traffic.page_views import NO_CAMPAIGN, Campaign, PageView
from dags.demo.traffic.sessions import SESSION_GAP, Event, events
from dags.web_preaggregated.tables import MAX_SESSION

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0"


def view(
    after: timedelta = timedelta(), address: str = "10.0.0.1", pathname: str = "/", agent: str = FIREFOX
) -> PageView:
    """Make a page view some time after noon."""
    return PageView(NOON + after, address, agent, "", pathname, "", NO_CAMPAIGN)


def sessions(page_views: Sequence[PageView]) -> list[str]:
    """Name the session of each page view, in order of time."""
    return [event.session_id for event in events(page_views, 1)]


def test_a_page_view_is_an_event_with_all_that_the_log_says() -> None:
    page_view = view()._replace(host="own.example", referring_domain="x.org", campaign=Campaign(utm_source="u"))
    (event,) = events([page_view], 7)
    assert event == Event(
        team_id=7,
        uuid=event.uuid,
        event="$pageview",
        timestamp=NOON,
        distinct_id=str(event.person_id),
        person_id=event.person_id,
        session_id=event.session_id,
        host="own.example",
        pathname="/",
        referring_domain="x.org",
        utm_source="u",
        utm_medium="",
        utm_campaign="",
        utm_term="",
        utm_content="",
        gclid="",
        gad_source="",
        fbclid="",
        browser="Firefox",
        os="Linux",
        device_type="Desktop",
    )


def test_identifiers_are_the_ones_that_were_given_before() -> None:
    # Known values: with others, every log that was ever loaded would be new on the next load.
    (event,) = events([view()], 7)
    assert (event.uuid, event.person_id, event.session_id) == (
        UUID("799aa5b1-3998-5a30-bd4e-5a0c963064f8"),
        UUID("29ae92a0-63d4-5940-b10f-bcc08f623ade"),
        "ae88ef31-6a53-5d16-a905-88ab3581bd5d",
    )


def test_a_visitor_is_an_address_and_a_user_agent_within_a_team() -> None:
    same, other_agent, other_address = view(), view(agent="curl/8"), view(address="10.0.0.2")
    of_one = [event.person_id for event in events([same, same, other_agent, other_address], 1)]
    of_another = [event.person_id for event in events([same], 2)]
    assert of_one[0] == of_one[1]
    assert len({*of_one, *of_another}) == 4


@pytest.mark.parametrize(
    ("pause", "count"),
    [
        pytest.param(SESSION_GAP, 1, id="30 minutes"),
        pytest.param(SESSION_GAP + SECOND, 2, id="30 minutes and a second"),
    ],
)
def test_a_session_ends_after_more_than_thirty_minutes_without_a_page_view(pause: timedelta, count: int) -> None:
    assert len(set(sessions([view(), view(pause)]))) == count


def test_a_session_that_goes_on_is_split_before_it_lasts_a_day() -> None:
    every_half_hour = [view(SESSION_GAP * number) for number in range(49)]
    ids = sessions(every_half_hour)
    assert len(set(ids[:48])) == 1
    assert ids[48] != ids[47]


def test_visitors_who_come_at_the_same_time_have_their_own_sessions() -> None:
    assert len(set(sessions([view(), view(address="10.0.0.2")]))) == 2


def test_equal_page_views_in_one_second_are_different_events() -> None:
    assert len({event.uuid for event in events([view(), view(), view(pathname="/b")], 1)}) == 3


def test_a_log_that_moved_elsewhere_in_time_has_other_events_in_other_sessions() -> None:
    here, there = events([view()], 1), events([view(timedelta(days=1))], 1)
    for before, after in zip(here, there, strict=True):
        assert before.uuid != after.uuid
        assert before.session_id != after.session_id
        assert before.person_id == after.person_id


@pytest.mark.parametrize(
    ("referring_domain", "host", "own_domain", "expected"),
    [
        ("", "", "", "$direct"),
        ("own.example", "", "own.example", "$direct"),
        ("www.own.example", "", "own.example", "$direct"),
        ("own.example", "www.own.example", "", "$direct"),
        ("www.google.com", "", "own.example", "www.google.com"),
        ("www.google.com", "", "", "www.google.com"),
    ],
)
def test_the_site_itself_is_no_referrer(referring_domain: str, host: str, own_domain: str, expected: str) -> None:
    page_view = view()._replace(host=host, referring_domain=referring_domain)
    (event,) = events([page_view], 1, own_domain)
    assert event.referring_domain == expected


def test_a_page_view_without_a_referrer_of_its_own_carries_that_of_its_session() -> None:
    hour = timedelta(hours=1)
    came_from = [
        (timedelta(), "www.google.com"), (SECOND, ""), (2 * SECOND, "own.example"), (3 * SECOND, "x.org"),
        (4 * SECOND, ""), (hour, "own.example"), (hour + SECOND, ""),
    ]  # fmt: skip
    page_views = [view(after)._replace(referring_domain=domain) for after, domain in came_from]
    assert [event.referring_domain for event in events(page_views, 1, "own.example")] == [
        *["www.google.com"] * 3, "x.org", "www.google.com", "$direct", "$direct",
    ]  # fmt: skip


# Times that meet the two limits and their neighbours often.
PAUSES = st.sampled_from([timedelta(), SECOND, SESSION_GAP - SECOND, SESSION_GAP, SESSION_GAP + SECOND])
VISITS = st.lists(st.tuples(PAUSES, st.sampled_from(["10.0.0.1", "10.0.0.2"])), max_size=120)


@given(VISITS, st.randoms())
def test_sessions_keep_their_limits_and_do_not_depend_on_the_order_of_lines(
    visits: list[tuple[timedelta, str]], random: Random
) -> None:
    page_views, after = [], timedelta()
    for pause, address in visits:
        after += pause
        page_views.append(view(after, address))
    rows = list(events(page_views, 1))
    shuffled = list(page_views)
    random.shuffle(shuffled)

    assert sorted(rows) == sorted(events(shuffled, 1))
    assert [row.timestamp for row in rows] == [page_view.at for page_view in page_views]
    assert len({row.uuid for row in rows}) == len(rows)
    by_session: dict[str, list[Event]] = {}
    for row in rows:
        by_session.setdefault(row.session_id, []).append(row)
    starts = set()
    for own in by_session.values():
        starts.add((own[0].person_id, own[0].timestamp))
        assert len({row.person_id for row in own}) == 1
        assert own[-1].timestamp - own[0].timestamp < MAX_SESSION
        assert all(later.timestamp - earlier.timestamp <= SESSION_GAP for earlier, later in pairwise(own))
    assert len(starts) == len(by_session)
