"""A build equals the fold over the same events, whatever was there before, and touches nobody else's rows."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dags.domain.days import start_of
from dags.domain.errors import BuildError
from dags.domain.units import Outcome
from dags.tests.as_built import as_built
from dags.tests.builds import DAY, TABLES, build
from dags.tests.events import Event, at, insert, person
from dags.tests.fold import fold, stored
from dags.tests.variants import embedded_at_night

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_connect.driver.client import Client


def assert_equals_fold(client: Client, events: list[Event], day: date = DAY) -> None:
    for table in TABLES:
        assert stored(client, table, day) == fold(events, day, table), table


CASES: dict[str, list[Event]] = {
    "one page view": [Event(1, at("2026-01-10 10:00:00"))],
    "a session across midnight belongs to the day it began": [
        Event(1, at("2026-01-10 23:59:59.999999"), "late", pathname="/a"),
        Event(1, at("2026-01-11 00:00:00"), "late", pathname="/b"),
        Event(1, at("2026-01-09 23:59:59.999999"), "early", pathname="/c"),
        Event(1, at("2026-01-10 00:00:00"), "early", pathname="/d"),
    ],
    "a session that begins with an autocapture before midnight and is viewed after it": [
        Event(1, at("2026-01-10 23:59:00"), "s", "$autocapture"),
        Event(1, at("2026-01-11 00:01:00"), "s"),
    ],
    "a session as long as a session may be": [
        Event(1, at("2026-01-10 23:59:59"), "long", pathname="/start"),
        Event(1, at("2026-01-11 23:59:58.5"), "long", pathname="/end"),
    ],
    "events out of order, ties broken by uuid": [
        Event(1, at("2026-01-10 10:00:05"), pathname="/last"),
        Event(1, at("2026-01-10 10:00:00"), "other", pathname="/a", uuid=UUID(int=2**127 + 2)),
        Event(1, at("2026-01-10 10:00:00"), "other", pathname="/b", uuid=UUID(int=6)),
        Event(1, at("2026-01-10 10:00:00"), pathname="/second", uuid=UUID(int=2**127 + 1)),
        Event(1, at("2026-01-10 10:00:00"), pathname="/first", uuid=UUID(int=5)),
    ],
    "the same uuid twice is one event, the newest delivery counts": [
        Event(1, at("2026-01-10 10:00:00"), "a", uuid=UUID(int=7), inserted_at=at("2026-01-10 11:00:00")),
        Event(1, at("2026-01-10 12:00:00"), "b", uuid=UUID(int=7), inserted_at=at("2026-01-10 13:00:00")),
        Event(1, at("2026-01-10 12:00:01"), "b", uuid=UUID(int=8)),
        Event(2, at("2026-01-10 12:00:01"), "b", uuid=UUID(int=7)),
    ],
    "a newer delivery without a session takes its event out of the session": [
        Event(1, at("2026-01-10 10:00:00"), "a", uuid=UUID(int=7), inserted_at=at("2026-01-10 11:00:00")),
        Event(1, at("2026-01-10 10:00:00"), "", uuid=UUID(int=7), inserted_at=at("2026-01-10 13:00:00")),
    ],
    "a newer delivery moves a session to the next day": [
        Event(1, at("2026-01-10 10:00:00"), "a", uuid=UUID(int=7), inserted_at=at("2026-01-10 11:00:00")),
        Event(1, at("2026-01-11 10:00:00"), "a", uuid=UUID(int=7), inserted_at=at("2026-01-11 13:00:00")),
    ],
    "sessions without a page view count nowhere": [
        Event(1, at("2026-01-10 10:00:00"), "silent", "$autocapture"),
        Event(1, at("2026-01-10 10:00:00"), "seen", "$screen"),
        Event(1, at("2026-01-10 10:00:01"), "", "$pageview"),
    ],
    "bounces: exactly ten seconds do not bounce, an autocapture does not, two views do not": [
        Event(1, at("2026-01-10 10:00:00"), "ten"),
        Event(1, at("2026-01-10 10:00:10"), "ten", "$pageleave"),
        Event(1, at("2026-01-10 10:00:00"), "nearly"),
        Event(1, at("2026-01-10 10:00:09.999999"), "nearly", "$pageleave"),
        Event(1, at("2026-01-10 10:00:00"), "clicked"),
        Event(1, at("2026-01-10 10:00:01"), "clicked", "$autocapture"),
        Event(1, at("2026-01-10 10:00:00"), "two"),
        Event(1, at("2026-01-10 10:00:01"), "two"),
    ],
    "sources come from the first event that has them, place and screen from each page view": [
        Event(1, at("2026-01-10 10:00:00"), event="$autocapture", utm_source="news", browser="none"),
        Event(1, at("2026-01-10 10:00:01"), pathname="/1", browser="B1", viewport_width=800, country_code="DE"),
        Event(1, at("2026-01-10 10:00:02"), pathname="/2", browser="B2", referring_domain="x.org", gclid="g"),
        Event(1, at("2026-01-10 10:00:03"), pathname="/2", browser="B2", referring_domain="y.org", utm_source="no"),
        Event(1, at("2026-01-10 10:00:04"), event="$pageleave", gad_source="1", fbclid="f", utm_term="t"),
        Event(1, at("2026-01-10 10:00:05"), pathname="/3", gad_source="2", person_id=person(2)),
    ],
    "tenants share session ids and uuids and nothing else": [
        Event(team, at(f"2026-01-10 10:00:0{n}"), "same", uuid=UUID(int=n), pathname=f"/{team}")
        for team in (1, 2, 3)
        for n in range(2)
    ],
    "nothing on the day itself": [Event(1, at("2026-01-09 10:00:00")), Event(1, at("2026-01-11 10:00:00"))],
}


def in_one_build(*names: str) -> list[Event]:
    """Cases as one: the teams of each are its own, the first one's 11, 12 and 13, the next one's 21, 22 and 23."""
    return [
        replace(event, team_id=10 * number + event.team_id)
        for number, name in enumerate(names, 1)
        for event in CASES[name]
    ]


# What was delivered more than once is found by statements that are not asked where nothing was.
REPEATED = [name for name, events in CASES.items() if len({(one.team_id, one.uuid) for one in events}) < len(events)]
ONCE = [name for name in CASES if name not in REPEATED]
IN_ONE_BUILD = {
    "all in which each event is delivered once": in_one_build(*ONCE),
    "all in which some are repeated": in_one_build(*REPEATED),
    "nothing": CASES["nothing on the day itself"],
}
# Each by itself every night.
of_all_cases = pytest.mark.parametrize(
    "events",
    [
        *(pytest.param(events, id=name) for name, events in IN_ONE_BUILD.items()),
        *(pytest.param(events, id=name, marks=pytest.mark.slow) for name, events in CASES.items()),
    ],
)


@of_all_cases
def test_a_build_equals_the_fold(client: Client, events: list[Event]) -> None:
    insert(client, events)
    build(client, *sorted({event.team_id for event in events}))
    assert_equals_fold(client, events)


def test_the_cases_above_hold_something() -> None:
    assert len(REPEATED) == 3
    silent = [name for name, events in CASES.items() if not fold(events, DAY, TABLES[0])]
    assert silent == [
        "a newer delivery without a session takes its event out of the session",
        "a newer delivery moves a session to the next day",
        "nothing on the day itself",
    ]


# Half of the instants lie within a millisecond of a midnight, where days are won and lost.
_near_midnight = st.builds(
    lambda day, microseconds: start_of(DAY) + timedelta(days=day, microseconds=microseconds),
    st.integers(-1, 2),
    st.sampled_from([-1000, -1, 0, 1, 1000]),
)
_any_time = st.integers(-26 * 3600, 50 * 3600).map(lambda s: start_of(DAY) + timedelta(seconds=s))
_words = st.sampled_from(["", "", "a", "b"])
drawn_events = st.lists(
    st.builds(
        Event,
        team_id=st.integers(1, 2),
        timestamp=st.one_of(_near_midnight, _any_time),
        session_id=st.sampled_from(["", "s1", "s2", "s3"]),
        event=st.sampled_from(["$pageview", "$pageview", "$screen", "$autocapture", "$pageleave"]),
        uuid=st.integers(1, 12).map(lambda n: UUID(int=n << 60)),
        person_id=st.integers(1, 3).map(person),
        host=_words,
        pathname=st.sampled_from(["/", "/x"]),
        browser=_words,
        referring_domain=_words,
        utm_source=_words,
        gclid=_words,
        gad_source=st.sampled_from(["", "1", "2"]),
        viewport_width=st.integers(0, 1),
    ),
    max_size=14,
)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(drawn_events, min_size=2, max_size=2))
@embedded_at_night
@pytest.mark.long
def test_whatever_was_there_before_a_rebuild_equals_the_fold_and_a_second_changes_nothing(
    client: Client, drawn: list[list[Event]]
) -> None:
    client.command("TRUNCATE TABLE events SYNC")
    for table in TABLES:
        client.command(f"TRUNCATE TABLE {table} SYNC")
    events: list[Event] = []
    for batch, delivery in enumerate(drawn):
        # A delivery of its own for each event, so that "the newest" is never a tie.
        fresh = [
            Event(**{**event.__dict__, "inserted_at": at("2026-01-12 00:00:00") + timedelta(seconds=100 * batch + n)})
            for n, event in enumerate(delivery)
        ]
        insert(client, fresh)
        events += fresh
        build(client, 1, 2, allow_shrink=True, batch_events=3)
        assert_equals_fold(client, events)
    build(client, 1, 2, allow_shrink=True)
    assert_equals_fold(client, events)


def test_rows_of_teams_that_are_not_enabled_survive_every_rebuild(client: Client) -> None:
    mine, theirs = Event(1, at("2026-01-10 10:00:00")), Event(2, at("2026-01-10 11:00:00"), pathname="/theirs")
    insert(client, [mine, theirs])
    as_built(client, 1, 2, days=[DAY])
    client.command("DELETE FROM events WHERE team_id = 2")
    late = Event(1, at("2026-01-10 12:00:00"), "late")
    insert(client, [late])
    for _ in range(2):
        build(client, 1)
        assert_equals_fold(client, [mine, theirs, late])
    assert len(stored(client, TABLES[0])) == 3


def test_only_the_day_that_was_asked_for_changes(client: Client) -> None:
    events = [Event(1, at(f"2026-01-{day:02} 10:00:00"), f"s{day}") for day in (9, 10, 11)]
    insert(client, events)
    as_built(client, 1, days=[date(2026, 1, day) for day in (9, 10, 11)])
    late = [Event(1, at(f"2026-01-{day:02} 12:00:00"), f"late{day}") for day in (9, 10, 11)]
    insert(client, late)
    build(client, 1)
    assert_equals_fold(client, events, date(2026, 1, 9))
    assert_equals_fold(client, events + late, DAY)
    assert_equals_fold(client, events, date(2026, 1, 11))


def test_a_day_that_lost_its_source_keeps_its_rows_until_a_person_allows_it(client: Client) -> None:
    events = [Event(1, at("2026-01-10 10:00:00"), f"s{n}") for n in range(4)]
    insert(client, events)
    as_built(client, 1, days=[DAY])
    client.command("TRUNCATE TABLE events SYNC")
    held = build(client, 1)
    assert [table.outcome_by_team for table in held.tables] == [{1: Outcome.HELD}] * 2
    assert_equals_fold(client, events)
    emptied = build(client, 1, allow_shrink=True)
    assert [table.outcome_by_team for table in emptied.tables] == [{1: Outcome.EMPTY}] * 2
    assert stored(client, TABLES[0]) == stored(client, TABLES[1]) == {}


def test_one_team_that_shrank_is_held_while_the_others_are_rebuilt(client: Client) -> None:
    shrunk = [Event(1, at("2026-01-10 10:00:00"), f"s{n}") for n in range(4)]
    grown = [Event(2, at("2026-01-10 10:00:00"), "s")]
    insert(client, [*shrunk, *grown])
    as_built(client, 1, 2, days=[DAY])
    client.command("DELETE FROM events WHERE team_id = 1 AND session_id != 's0'")
    late = Event(2, at("2026-01-10 10:30:00"), "late")
    insert(client, [late])
    built = build(client, 1, 2)
    assert built.tables[0].outcome_by_team == {1: Outcome.HELD, 2: Outcome.BUILT}
    assert_equals_fold(client, [*shrunk, *grown, late])


def test_teams_built_in_many_batches_equal_those_built_in_one(client: Client) -> None:
    events = [
        Event(team, at("2026-01-10 10:00:00") + timedelta(seconds=n), f"s{n % 7}", pathname=f"/{n % 3}")
        for team, size in ((1, 300), (2, 3), (3, 1), (4, 5))
        for n in range(size)
    ]
    insert(client, events)
    build(client, 1, 2, 3, 4, batch_events=4)
    assert_equals_fold(client, events)


def test_the_ledger_says_what_was_built_from_what(client: Client) -> None:
    insert(client, [Event(1, at("2026-01-10 10:00:00")), Event(1, at("2026-01-09 10:00:00"), "", "$identify")])
    build(client, 1, 2)
    rows = client.query(
        "SELECT table_name, day, team_id, run_id, outcome, source_events, source_qualifying, sessions, pageviews "
        "FROM web_pre_aggregated_builds ORDER BY table_name"
    ).result_rows
    assert rows == [
        ("web_pre_aggregated_bounces", DAY, 1, "test-run", "built", 2, 1, 1, 1),
        ("web_pre_aggregated_stats", DAY, 1, "test-run", "built", 2, 1, 1, 1),
    ]


def test_a_build_that_fails_leaves_readers_on_the_old_data_and_says_why_of_each_unit(client: Client) -> None:
    first = Event(1, at("2026-01-10 10:00:00"))
    insert(client, [first])
    as_built(client, 1, days=[DAY])
    insert(client, [Event(1, at("2026-01-10 11:00:00"), "late"), Event(2, at("2026-01-10 11:00:00"))])
    built = build(client, 1, 2, run_id="doomed", max_memory_bytes=1000)
    assert len(built.problems) == 2
    assert all("memory limit" in problem for problem in built.problems)
    assert_equals_fold(client, [first])
    failed = client.query(
        "SELECT table_name, team_id, outcome, error FROM web_pre_aggregated_builds WHERE run_id = 'doomed' "
        "ORDER BY table_name, team_id"
    ).result_rows
    assert [row[:3] for row in failed] == [(table, team, "failed") for table in sorted(TABLES) for team in (1, 2)]
    assert all("memory limit" in row[3].lower() for row in failed)


def test_nothing_is_left_behind_by_success_or_failure(client: Client) -> None:
    insert(client, [Event(1, at("2026-01-10 10:00:00"))])
    before = {name for (name,) in client.query("SHOW TABLES").result_rows}
    assert build(client, 1).problems == ()
    assert build(client, 1, max_memory_bytes=1000).problems
    assert {name for (name,) in client.query("SHOW TABLES").result_rows} == before != set()


def test_without_an_enabled_team_nothing_is_built_and_the_error_says_so(client: Client) -> None:
    with pytest.raises(BuildError, match="nothing is watched"):
        build(client)


IN_ANOTHER_TIME_ZONE = """
import sys
from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.web_preaggregated.tables import WEB_TABLES
from dags.clickhouse.schema.apply import apply_schema
from dags.tests.events import insert
from dags.tests.fold import fold, stored
from dags.tests.builds import DAY, TABLES, build
from dags.tests.web_preaggregated.test_store import CASES

with open_client(Dsn.parse(sys.argv[1]), wait_seconds=5, create_database=True) as client:
    assert client.command("SELECT serverTimezone()") == "America/New_York"
    apply_schema(client, WEB_TABLES)
    events = [event for case in CASES.values() for event in case]
    insert(client, events)
    build(client, 1, 2, 3)
    for table in TABLES:
        # The embedded driver reads DateTime('UTC') in the host's time zone, so hours are compared in the engine.
        hours = {str(row[0]) for row in client.query(f"SELECT toString(period_bucket) FROM {table}").result_rows}
        assert hours == {f"{key[0]:%Y-%m-%d %H:%M:%S}" for key in fold(events, DAY, table)}, hours
        assert sorted(stored(client, table).values()) == sorted(fold(events, DAY, table).values())
print("equal")
"""


def test_days_are_utc_days_whatever_the_hosts_time_zone(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_TIME_ZONE, f"chdb://{tmp_path}/engine"],
        env={**os.environ, "TZ": "America/New_York"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.stdout == "equal\n", ran.stderr


def test_a_day_that_was_emptied_can_be_built_again_at_once(client: Client) -> None:
    """The parts that it had are remembered by ClickHouse for minutes, and are nobody's new rows."""
    for session in ("first", "second"):
        insert(client, [Event(team, at("2026-01-10 10:00:00"), session, pathname=session) for team in (1, 2)])
        assert build(client, 1, 2).problems == ()
        client.command("TRUNCATE TABLE events SYNC")
        assert build(client, 1, 2, allow_shrink=True).problems == ()
        assert [stored(client, table, DAY) for table in TABLES] == [{}, {}]
