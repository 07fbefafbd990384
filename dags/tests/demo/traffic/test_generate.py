"""Generated traffic is the same for the same seed, looks like traffic, and holds what readers get wrong."""

from datetime import date, timedelta
from uuid import UUID

import pandas as pd
import pytest

from dags.demo.traffic.generate import EVENTS_PER_SESSION, Site, Traffic, generate, sites

COLUMNS = """
    team_id uuid event timestamp distinct_id person_id session_id host pathname referring_domain
    utm_source utm_medium utm_campaign utm_term utm_content browser os device_type
    viewport_width viewport_height country_code city_name region_code region_name gclid gad_source fbclid
"""
START, END = date(2026, 1, 5), date(2026, 1, 12)


def rows(traffic: Traffic, batch_sessions: int = 50_000) -> pd.DataFrame:
    """Generate everything as one frame of plain values, in an order that does not depend on batches."""
    frames = []
    for frame in generate(traffic, batch_sessions):
        labels = frame.select_dtypes("category").columns
        frames.append(frame.astype(dict.fromkeys(labels, object)))
    return pd.concat(frames).sort_values(["team_id", "timestamp", "uuid"], ignore_index=True)


@pytest.fixture(scope="module")
def week() -> pd.DataFrame:
    """Generate a week of 20 teams, about 200,000 events."""
    return rows(Traffic(sites(20, 30_000), START, END, seed=7))


def test_the_same_seed_gives_the_same_rows_whatever_the_batches() -> None:
    traffic = Traffic(sites(5, 2_000), START, END, seed=7)
    pd.testing.assert_frame_equal(rows(traffic), rows(traffic, batch_sessions=37))


def test_another_seed_gives_other_rows() -> None:
    one, other = (rows(Traffic(sites(2, 500), START, END, seed)) for seed in (1, 2))
    assert set(one["uuid"]).isdisjoint(other["uuid"])


def test_a_day_of_a_team_does_not_depend_on_other_teams_and_days() -> None:
    all_sites = sites(5, 2_000)
    day = START + timedelta(days=2)
    alone = rows(Traffic((all_sites[2],), day, day + timedelta(days=1), seed=7))
    together = rows(Traffic(all_sites, START, END, seed=7))
    assert len(alone) > 100
    # Sessions of the day before may run into it, and its own may run on into the next.
    shared = together[together["uuid"].isin(alone["uuid"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(shared, alone)
    of_day = together[(together["team_id"] == all_sites[2].team_id) & (together["timestamp"].dt.date == day)]
    assert len(of_day) - len(alone) < len(alone) / 10


def test_rows_have_the_columns_of_events_except_the_one_that_the_table_fills(week: pd.DataFrame) -> None:
    assert set(week.columns) == set(COLUMNS.split())
    assert not week.isna().any().any()


def test_all_rows_lie_in_the_range_and_every_day_has_some(week: pd.DataFrame) -> None:
    days = set(week["timestamp"].dt.date)
    assert days == {START + timedelta(days=offset) for offset in range(7)}


def test_there_are_about_as_many_events_as_were_asked_for(week: pd.DataFrame) -> None:
    assert len(week) == pytest.approx(7 * 30_000, rel=0.1)
    in_sessions = week[week["session_id"] != ""].drop_duplicates("uuid")
    assert len(in_sessions) / in_sessions["session_id"].nunique() == pytest.approx(EVENTS_PER_SESSION, rel=0.05)


def test_teams_differ_in_size_and_the_nth_has_an_nth_of_the_first(week: pd.DataFrame) -> None:
    counts = week["team_id"].value_counts()
    assert counts[1] / counts[2] == pytest.approx(2, rel=0.25)
    assert counts[1] / counts[20] == pytest.approx(20, rel=0.25)


def test_a_few_pages_have_most_of_the_views(week: pd.DataFrame) -> None:
    views = week[(week["team_id"] == 1) & (week["event"] == "$pageview")]["pathname"].value_counts()
    assert views.index[0] == "/"
    assert views.head(len(views) // 10).sum() > views.sum() / 2


def test_traffic_has_a_daily_rhythm(week: pd.DataFrame) -> None:
    by_hour = week["timestamp"].dt.hour.value_counts()
    assert by_hour.max() > 3 * by_hour.min()


def test_visitors_return(week: pd.DataFrame) -> None:
    sessions_of_person = week[week["session_id"] != ""].groupby("person_id")["session_id"].nunique()
    assert (sessions_of_person > 1).mean() > 0.2
    assert (sessions_of_person == 1).mean() > 0.2


def test_what_readers_get_wrong_is_there(week: pd.DataFrame) -> None:
    in_sessions = week[week["session_id"] != ""]
    by_session = in_sessions.groupby("session_id")
    times = by_session["timestamp"].agg(["min", "max"])
    has_view = in_sessions["event"].isin(["$pageview", "$screen"]).groupby(in_sessions["session_id"]).any()
    assert (times["min"].dt.date < times["max"].dt.date).sum() > 10, "sessions across midnight"
    assert (week["session_id"] == "").sum() > 1_000, "events without a session"
    assert (~has_view).sum() > 100, "sessions without a pageview"
    assert week["uuid"].duplicated().sum() > 500, "events that arrived twice"
    assert set(week["event"]) == {"$pageview", "$screen", "$autocapture", "$pageleave"}


def test_an_event_that_arrived_twice_is_the_same_twice(week: pd.DataFrame) -> None:
    twice = week[week["uuid"].duplicated(keep=False)]
    assert len(twice.drop_duplicates()) == twice["uuid"].nunique()


def test_a_session_is_of_one_team_and_person_and_shorter_than_a_day(week: pd.DataFrame) -> None:
    in_sessions = week[week["session_id"] != ""]
    owners = in_sessions[["session_id", "team_id", "person_id", "distinct_id"]].drop_duplicates()
    assert len(owners) == in_sessions["session_id"].nunique()
    by_session = in_sessions.groupby("session_id")
    assert (by_session["timestamp"].max() - by_session["timestamp"].min()).max() < timedelta(hours=24)


def test_a_session_has_one_referrer_which_is_direct_where_there_is_none(week: pd.DataFrame) -> None:
    in_sessions = week[week["session_id"] != ""]
    of_session = in_sessions[["session_id", "referring_domain"]].drop_duplicates()
    assert len(of_session) == in_sessions["session_id"].nunique()
    assert 0.3 < (of_session["referring_domain"] == "$direct").mean() < 0.6
    assert "" not in set(week["referring_domain"])


def test_a_person_belongs_to_one_team(week: pd.DataFrame) -> None:
    assert len(week[["person_id", "team_id"]].drop_duplicates()) == week["person_id"].nunique()


def test_uuids_are_well_formed(week: pd.DataFrame) -> None:
    for text in week["uuid"].head(200):
        assert str(UUID(text)) == text
        assert UUID(text).version == 8


def test_campaigns_and_clients_vary(week: pd.DataFrame) -> None:
    for column in (
        "referring_domain",
        "utm_source",
        "utm_medium",
        "browser",
        "os",
        "device_type",
        "country_code",
    ):
        assert week[column].nunique() > 2, column
    assert {"", "1"} < set(week["gad_source"])


def test_a_team_with_less_than_a_session_a_day_has_days_without_any() -> None:
    week = rows(Traffic((Site(1, 0.5),), START, START + timedelta(days=28), seed=3))
    assert 3 < week["timestamp"].dt.date.nunique() < 25


def test_no_session_at_all_gives_no_frame() -> None:
    assert list(generate(Traffic((Site(1, 0.0),), START, END, seed=1))) == []
    assert list(generate(Traffic((), START, END, seed=1))) == []


def test_traffic_that_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no day in \[2026-01-05, 2026-01-05\)"):
        Traffic(sites(1, 10), START, START, seed=1)
    with pytest.raises(ValueError, match="a team is there twice"):
        Traffic((Site(1, 2.0), Site(1, 3.0)), START, END, seed=1)
    with pytest.raises(ValueError, match="0 teams"):
        sites(0, 100)
