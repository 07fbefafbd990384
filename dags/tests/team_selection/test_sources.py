"""Enabled teams come from every configured source, and a source that cannot be read is never a shorter list."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import ExitStack
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from dagster import materialize

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.sql import Sql
from dags.dagster_runs.resource import ClickHouseResource
from dags.domain.days import start_of
from dags.domain.setting_values import TeamSource
from dags.settings import Settings, current_settings, read_settings
from dags.team_selection.assets import team_selection
from dags.team_selection.sources import SOURCES, TeamSourceError, get_team_ids_from_sources, team_ids_by_source
from dags.team_selection.store import read_selection, write_selection
from dags.tests.clickhouse.schema import own_database
from dags.tests.conftest import ENGINES
from dags.tests.events import Event, at, insert
from dags.tests.variants import server_in_stories
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

pytestmark = server_in_stories

TODAY = date(2026, 1, 20)
MICROSECOND = timedelta(microseconds=1)


def configured(sources: str, teams: str = "", limit: int = 30, days: int = 30) -> Settings:
    return read_settings(
        {
            "WEB_ANALYTICS_TEAM_SOURCES": sources,
            "WEB_ANALYTICS_ENABLED_TEAM_IDS": teams,
            "WEB_ANALYTICS_TOP_TEAMS_LIMIT": str(limit),
            "WEB_ANALYTICS_TOP_TEAMS_DAYS": str(days),
        }
    )


def change(client: Client, team: int, *, is_enabled: bool = True, changed_at: str = "2026-01-01 00:00:00") -> None:
    """What a person writes into the table of enabled teams."""
    client.insert(
        "web_analytics_enabled_teams",
        [[team, int(is_enabled), at(changed_at)]],
        column_names=["team_id", "is_enabled", "changed_at"],
    )


def views(team: int, count: int, day: date = TODAY - timedelta(days=1)) -> list[Event]:
    return [Event(team, start_of(day) + timedelta(hours=9, seconds=n)) for n in range(count)]


@pytest.fixture
def own_dsn_text(engine_dsn: Callable[[str], str], request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of the test's own with the schema, whose tables it may drop."""
    with own_database(engine_dsn(request.param)) as (text, client):
        apply_schema(client, WEB_TABLES)
        yield text


on_both_engines = pytest.mark.parametrize("own_dsn_text", ENGINES, indirect=True)


# --- Which sources ------------------------------------------------------------------------------------------


def test_every_source_that_can_be_configured_exists() -> None:
    assert tuple(SOURCES) == tuple(TeamSource)


UNIONS = {
    "environment": ({"environment": (2, 9)}, [2, 9]),
    "table": ({"table": (3, 9)}, [3, 9]),
    "top_pageviews": ({"top_pageviews": (5, 3)}, [3, 5]),
    "environment,table": ({"environment": (2, 9), "table": (3, 9)}, [2, 3, 9]),
    "table,top_pageviews,environment": (
        {"table": (3, 9), "top_pageviews": (5, 3), "environment": (2, 9)},
        [2, 3, 5, 9],
    ),
}


@pytest.mark.parametrize(("sources", "expected"), UNIONS.items())
def test_the_teams_are_the_union_of_the_configured_sources_and_of_no_other(
    client: Client, sources: str, expected: tuple[dict[str, tuple[int, ...]], list[int]]
) -> None:
    for team in (9, 3):
        change(client, team)
    insert(client, views(5, 3) + views(3, 1))
    settings = configured(sources, teams="9,2")
    assert (
        team_ids_by_source([(client, TODAY)], settings),
        get_team_ids_from_sources(client, settings, TODAY),
    ) == expected


def test_sources_that_name_nobody_are_no_error(client: Client) -> None:
    settings = configured("environment,table,top_pageviews")
    assert team_ids_by_source([(client, TODAY)], settings) == {"environment": (), "table": (), "top_pageviews": ()}
    assert get_team_ids_from_sources(client, settings, TODAY) == []


def test_in_the_table_the_newest_word_on_a_team_counts(client: Client) -> None:
    change(client, 1, is_enabled=False, changed_at="2026-01-03 00:00:00")
    change(client, 1, changed_at="2026-01-02 00:00:00")
    change(client, 2, is_enabled=False, changed_at="2026-01-02 00:00:00")
    change(client, 2, changed_at="2026-01-03 00:00:00")
    change(client, 2**64 - 1)
    assert get_team_ids_from_sources(client, configured("table"), TODAY) == [2, 2**64 - 1]


@pytest.mark.parametrize("engine", ENGINES)
def test_of_a_team_the_newest_row_counts_on_whichever_shard_it_was_written(
    engine_dsn: Callable[[str], str], engine: str
) -> None:
    with ExitStack() as opened:
        one, other = (opened.enter_context(own_database(engine_dsn(engine)))[1] for _ in range(2))
        for client in (one, other):
            apply_schema(client, WEB_TABLES)
        change(one, 1)
        change(one, 2, is_enabled=False)
        change(other, 1, is_enabled=False, changed_at="2026-01-02 00:00:00")
        change(other, 2, changed_at="2026-01-02 00:00:00")
        for places in ([one, other], [other, one]):
            found = team_ids_by_source([(client, TODAY) for client in places], configured("table"))
            assert found == {"table": (2,)}


def test_a_person_need_not_say_more_than_the_team(client: Client) -> None:
    client.command("INSERT INTO web_analytics_enabled_teams (team_id) VALUES (7)")
    assert get_team_ids_from_sources(client, configured("table"), TODAY) == [7]


# --- The busiest teams --------------------------------------------------------------------------------------


def test_the_busiest_teams_come_first_ties_by_id_and_no_more_than_the_limit(client: Client) -> None:
    insert(client, views(1, 2) + views(2, 5) + views(3, 2) + views(4, 1))
    for limit, expected in ((10, (2, 1, 3, 4)), (4, (2, 1, 3, 4)), (3, (2, 1, 3)), (2, (2, 1)), (1, (2,))):
        found = team_ids_by_source([(client, TODAY)], configured("top_pageviews", limit=limit))
        assert found == {"top_pageviews": expected}


def test_only_page_views_and_screens_of_a_session_count(client: Client) -> None:
    noon = at("2026-01-19 12:00:00")
    insert(
        client,
        [
            *views(1, 2),
            Event(2, noon, event="$screen"),
            *(Event(3, noon, event=event) for event in ("$autocapture", "$pageleave", "custom") * 5),
            *(Event(4, noon, session_id="") for _ in range(9)),
        ],
    )
    assert team_ids_by_source([(client, TODAY)], configured("top_pageviews")) == {"top_pageviews": (1, 2)}


def test_the_window_is_the_whole_days_before_today(client: Client) -> None:
    start, end = start_of(TODAY - timedelta(days=3)), start_of(TODAY)
    edges = {1: start - MICROSECOND, 2: start, 3: end - MICROSECOND, 4: end, 5: end + timedelta(days=1)}
    insert(client, (Event(team, instant) for team, instant in edges.items()))
    assert get_team_ids_from_sources(client, configured("top_pageviews", days=3), TODAY) == [2, 3]
    assert get_team_ids_from_sources(client, configured("top_pageviews", days=4), TODAY) == [1, 2, 3]
    assert get_team_ids_from_sources(client, configured("top_pageviews", days=1), TODAY) == [3]


def test_the_busiest_teams_are_those_that_counting_by_hand_finds(client: Client) -> None:
    draw = random.Random(20)
    events = [
        Event(
            min(int(draw.paretovariate(0.7)), 40),
            start_of(TODAY) - timedelta(seconds=draw.randrange(10 * 86_400)),
            draw.choice(["", "s", "s"]),
            draw.choice(["$pageview", "$screen", "$autocapture"]),
        )
        for _ in range(2000)
    ]
    insert(client, events)
    counted = Counter(
        event.team_id
        for event in events
        if event.session_id and event.event != "$autocapture" and event.timestamp >= start_of(date(2026, 1, 15))
    )
    busiest = tuple(sorted(counted, key=lambda team: (-counted[team], team)))
    assert len(busiest) > 20
    for limit in (5, 20, 100):
        found = team_ids_by_source([(client, TODAY)], configured("top_pageviews", limit=limit, days=5))
        assert found == {"top_pageviews": busiest[:limit]}


def test_the_busiest_teams_are_read_from_the_projection_and_not_from_the_events(client: Client) -> None:
    insert(client, views(1, 3))
    forced = Sql("dags.team_selection", client, settings={"force_optimize_projection_name": "coverage"})
    bound = {"start": TODAY - timedelta(days=30), "end": TODAY, "limit": 10}
    assert forced.rows("source_top_pageviews", bound) == [(1,)]


# --- A source that fails --------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["table", "top_pageviews"])
def test_team_0_is_refused_with_the_source_that_names_it(client: Client, source: str) -> None:
    change(client, 0)
    change(client, 1)
    insert(client, views(0, 1) + views(1, 1))
    with pytest.raises(TeamSourceError) as refused:
        get_team_ids_from_sources(client, configured(f"environment,{source}", teams="5"), TODAY)
    assert str(refused.value) == f"the team source {source!r} names the team 0: team ids are whole numbers above 0"


@on_both_engines
@pytest.mark.parametrize(("source", "table"), [("table", "web_analytics_enabled_teams"), ("top_pageviews", "events")])
def test_a_source_that_cannot_be_read_is_an_error_that_names_it_and_what_to_do(
    own_dsn_text: str, source: str, table: str
) -> None:
    with open_client(Dsn.parse(own_dsn_text), wait_seconds=60) as client:
        client.command(f"DROP TABLE {table} SYNC")
        with pytest.raises(TeamSourceError) as refused:
            get_team_ids_from_sources(client, configured(f"environment,{source}", teams="5"), TODAY)
        shown = str(refused.value)
        assert shown.startswith(f"the team source {source!r} could not be read, so which teams are enabled is unknown")
        assert table in shown
        assert shown.endswith(f"Put it right, or leave {source!r} out of WEB_ANALYTICS_TEAM_SOURCES")
        # As the error says.
        assert get_team_ids_from_sources(client, configured("environment", teams="5"), TODAY) == [5]


@on_both_engines
def test_when_a_source_fails_the_run_fails_and_the_last_list_stays(
    own_dsn_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLICKHOUSE_DSN", own_dsn_text)
    monkeypatch.setenv("WEB_ANALYTICS_TEAM_SOURCES", "environment,table")
    with open_client(Dsn.parse(own_dsn_text), wait_seconds=60) as client:
        change(client, 4)
        assert select_in_a_run(monkeypatch, "1,2,3")
        before = read_selection(client)
        assert before.teams == {1, 2, 3, 4}
        # The columns that the schema wants, on an engine that knows no newest row: FINAL is refused.
        client.command("RENAME TABLE web_analytics_enabled_teams TO aside")
        client.command("CREATE TABLE web_analytics_enabled_teams AS aside ENGINE = MergeTree ORDER BY team_id")
        assert not select_in_a_run(monkeypatch, "1,2,3,5")
        assert read_selection(client) == before
        client.command("EXCHANGE TABLES web_analytics_enabled_teams AND aside")
        assert select_in_a_run(monkeypatch, "1,2,3,5")
        assert read_selection(client).teams == {1, 2, 3, 4, 5}


def select_in_a_run(monkeypatch: pytest.MonkeyPatch, teams: str) -> bool:
    """Materialize the asset with these teams in the environment; whether the run succeeded."""
    monkeypatch.setenv("WEB_ANALYTICS_ENABLED_TEAM_IDS", teams)
    current_settings.cache_clear()
    try:
        resources = {"clickhouse": ClickHouseResource()}
        return materialize([team_selection(lambda *_: None)], resources=resources, raise_on_error=False).success
    finally:
        current_settings.cache_clear()


@on_both_engines
def test_a_list_is_not_written_from_the_sources_that_did_answer(own_dsn_text: str) -> None:
    with open_client(Dsn.parse(own_dsn_text), wait_seconds=60) as client:
        write_selection(client, [1, 2, 3])
        before = read_selection(client)
        client.command("DROP TABLE web_analytics_enabled_teams SYNC")
        with pytest.raises(TeamSourceError):
            write_selection(
                client,
                get_team_ids_from_sources(client, configured("environment,table", teams="1,2,3,4"), TODAY),
            )
        assert read_selection(client) == before
