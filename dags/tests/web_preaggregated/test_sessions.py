"""Sessions are put together alike whichever way they go, and a day's alike with whichever days it is built."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dags.clickhouse.sql import Sql, is_embedded
from dags.tests.builds import DAY, TABLES, build
from dags.tests.events import Event, at, insert
from dags.tests.fold import fold, stored
from dags.tests.variants import embedded_at_night, variants
from dags.tests.web_preaggregated.test_store import assert_equals_fold, drawn_events, of_all_cases
from dags.web_preaggregated.builder import SessionsBuilder
from dags.web_preaggregated.tables import OP, WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

ONE_DAY = timedelta(days=1)
# The first and the last day are such that each drawn event is within reach of one of them.
DAYS = [DAY + n * ONE_DAY for n in range(-1, 3)]
EMPTY = ("", 0)
AN_HOUR_LATE = at("2026-01-12 01:00:00")


@dataclass
class Bench:
    """A workbench without a build around it."""

    client: Client
    tables: list[str] = field(default_factory=list)
    names: Iterator[int] = field(default_factory=lambda: count(1))

    def rows(self, package: str, name: str, parameters: Mapping[str, Any], **identifiers: str) -> Sequence[Any]:
        sql = Sql(package, self.client)
        return sql.rows(name, {one: parameters[one] for one in sql.parameters(name)}, **identifiers)

    def command(self, package: str, name: str, parameters: Mapping[str, Any], **identifiers: str) -> None:
        sql = Sql(package, self.client, settings={"optimize_on_insert": 0})  # as a build has it
        sql.command(name, {one: parameters[one] for one in sql.parameters(name)}, **identifiers)

    def scratch(self, kind: str) -> str:
        self.tables.append(f"bench_{next(self.names)}_{kind}")
        return self.tables[-1]

    def staging(self, table: str) -> str:
        name = self.scratch(table)
        self.client.command(f"CREATE TABLE {name} AS {table}")
        return name

    def uncounted(self, what: str, rows_by_team: Mapping[int, int]) -> None:
        raise AssertionError(f"a build alone reports {what}: {rows_by_team}")


def of_a_range(client: Client, builder: SessionsBuilder, days: Sequence[date]) -> dict[tuple[str, date], Any]:
    """What both tables hold of the days when their sessions are put together at once, and what these amount to."""
    bench = Bench(client)
    try:
        sessions = builder.sessions(bench, days[0], days[-1] + ONE_DAY, [1, 2])
        found_in = {"sessions": sessions, "alike": builder.alike(bench, sessions)}
        found: dict[tuple[str, date], Any] = {}
        for day in days:
            for table in TABLES:
                staging = bench.staging(table)
                bench.command("dags.web_preaggregated", table, {"day": day}, staging=staging, **found_in)
                found[table, day] = stored(client, staging)
            found["units", day] = sorted(
                bench.rows("dags.web_preaggregated", "session_units", {"day": day}, sessions=sessions)
            )
        return found
    finally:
        for table in bench.tables:
            client.command(f"DROP TABLE IF EXISTS {table} SYNC")


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=drawn_events, large=st.sampled_from([0, 1, 3, 10_000]), few=st.sampled_from([0, 100]))
@embedded_at_night
@pytest.mark.long
def test_each_day_of_a_range_equals_the_fold_of_that_day_and_its_build_alone(
    client: Client, drawn: list[Event], large: int, few: int
) -> None:
    client.command("TRUNCATE TABLE events SYNC")
    events = [replace(event, inserted_at=AN_HOUR_LATE + timedelta(seconds=n)) for n, event in enumerate(drawn)]
    insert(client, events)
    expected = {(table, day): fold(events, day, table) for day in DAYS for table in TABLES}
    builder = SessionsBuilder(OP, large, few)
    found = of_a_range(client, builder, DAYS)
    assert {key: rows for key, rows in found.items() if key[0] in TABLES} == expected
    assert found == {key: rows for day in DAYS for key, rows in of_a_range(client, builder, [day]).items()}


@pytest.mark.parametrize(("large", "few"), [(0, 100), (1, 0), (10_000, 0)])
@of_all_cases
def test_large_sessions_and_many_teams_equal_the_fold_too(
    client: Client, events: list[Event], large: int, few: int
) -> None:
    insert(client, events)
    tables = tuple(replace(table, builder=SessionsBuilder(OP, large, few)) for table in WEB_TABLES)
    build(client, *sorted({event.team_id for event in events}), tables=tables)
    assert_equals_fold(client, events)


OWN = ["day", "own_day", "shift", "position", "session_hash", "event_hash", "pageviews"]


@pytest.mark.parametrize(("large", "few"), variants((0, 0), (10_000, 100)))
@pytest.mark.parametrize("names", variants(OWN, *([name] for name in OWN)), ids="+".join)
def test_a_column_of_ones_own_in_events_takes_nothings_place(
    client: Client, names: list[str], large: int, few: int
) -> None:
    next_day = DAY + ONE_DAY
    visits = ((DAY, "23:50:00", "night"), (next_day, "00:10:00", "night"), (next_day, "12:00:00", "noon"))
    events = [Event(team, at(f"{day} {time}"), session) for team in (1, 2) for day, time, session in visits]
    added = ", ".join(f"ADD COLUMN {name} Date DEFAULT toDate(timestamp)" for name in names)
    client.command(f"ALTER TABLE events {added}")
    try:
        insert(client, events)
        tables = tuple(replace(table, builder=SessionsBuilder(OP, large, few)) for table in WEB_TABLES)
        for day in (DAY, next_day):
            build(client, 1, 2, tables=tables, day=day)
            assert_equals_fold(client, events, day)
    finally:
        client.command("ALTER TABLE events " + ", ".join(f"DROP COLUMN {name}" for name in names))


@pytest.mark.parametrize(("large", "few"), [(0, 0), (10_000, 100)])
def test_a_text_of_events_may_be_of_a_type_that_takes_no_dictionary(client: Client, large: int, few: int) -> None:
    """Where the empty one is not the first either, which is what ClickHouse has for nothing."""
    kinds: dict[str, Any] = {"device_type": "Mobile", "utm_source": "u", "referring_domain": "d", "gad_source": "1"}
    visits = [
        Event(1, at(f"2026-01-10 10:00:0{n}"), f"s{n % 2}", **(kinds if n == 2 else dict.fromkeys(kinds, "")))
        for n in range(4)
    ]
    insert(client, visits)
    enums = ", ".join(f"CAST({name}, 'Enum8(\\'{one}\\' = 1, \\'\\' = 2)') AS {name}" for name, one in kinds.items())
    client.command("RENAME TABLE events TO local_events")
    try:
        client.command(f"CREATE VIEW events AS SELECT * REPLACE ({enums}), qualifies FROM local_events")
        build(client, 1, tables=tuple(replace(table, builder=SessionsBuilder(OP, large, few)) for table in WEB_TABLES))
    finally:
        client.command("DROP VIEW IF EXISTS events SYNC")
        client.command("RENAME TABLE local_events TO events")
    assert_equals_fold(client, visits)


@pytest.mark.parametrize(("large", "few"), [(0, 0), (10_000, 100)])
def test_null_counts_as_empty_in_every_column_that_is_no_key(client: Client, large: int, few: int) -> None:
    """Some page views of a session have a value, some none: which of both comes first makes no difference."""
    nulls = ", ".join(
        f"nullIf({one.name}, {one.default!r}) AS {one.name}" for one in fields(Event) if one.default in EMPTY
    )
    nulls += ", nullIf(pathname, '') AS pathname"
    some: dict[str, Any] = {"host": "h", "utm_source": "u", "viewport_width": 9, "gclid": "g", "city_name": "c"}
    paths = ["/", "", "", "/"]  # one session ends without, the other begins
    visits = [
        Event(
            team,
            at(f"2026-01-10 10:00:0{n}"),
            f"s{n % 2}",
            pathname=paths[n],
            **(some if team == 1 and n == 2 else {}),
        )
        for team in (1, 2)
        for n in range(4)
    ]
    insert(client, visits)
    client.command("RENAME TABLE events TO local_events")
    try:
        client.command(f"CREATE VIEW events AS SELECT * REPLACE ({nulls}), qualifies FROM local_events")
        tables = tuple(replace(table, builder=SessionsBuilder(OP, large, few)) for table in WEB_TABLES)
        build(client, 1, 2, tables=tables)
    finally:
        client.command("DROP VIEW IF EXISTS events SYNC")
        client.command("RENAME TABLE local_events TO events")
    assert_equals_fold(client, visits)


def test_no_row_of_a_large_session_carries_more_than_one_page_view(client: Client) -> None:
    insert(client, [Event(1, at(f"2026-01-10 10:00:0{n}"), name) for name in ("large", "small") for n in range(3)])
    insert(client, [Event(1, at("2026-01-10 10:00:09"), "large", "$autocapture")])
    bench = Bench(client)
    try:
        sessions = SessionsBuilder(OP, 3).sessions(bench, DAY, DAY + ONE_DAY, [1])
        rows = client.query(f"SELECT session_id, pageviews, length(views) FROM {sessions} ORDER BY ALL").result_rows
        assert rows == [("large", 0, 1)] * 2 + [("large", 3, 1), ("small", 3, 3)]
    finally:
        for table in bench.tables:
            client.command(f"DROP TABLE IF EXISTS {table} SYNC")


@pytest.mark.parametrize("large", [1, 10_000])
def test_what_counts_on_no_day_is_told_once_of_a_session_of_any_size(client: Client, large: int) -> None:
    insert(client, [Event(1, at(f"2026-01-{day:02} 10:00:0{n}"), "endless") for day in (9, 10, 11) for n in range(2)])
    bench = Bench(client)
    try:
        sessions = SessionsBuilder(OP, large).sessions(bench, DAY, DAY + ONE_DAY, [1])
        units = bench.rows("dags.web_preaggregated", "session_units", {"day": DAY}, sessions=sessions)
        assert units == [(1, 0, 0, 2)]
    finally:
        for table in bench.tables:
            client.command(f"DROP TABLE IF EXISTS {table} SYNC")


def test_no_two_staged_rows_have_the_same_key(client: Client) -> None:
    """Readers merge such rows and would not notice; the comparison of what was staged, row by row, relies on it."""
    alike = [Event(1, at(f"2026-01-10 10:00:0{n}"), f"s{n}") for n in range(2)]
    insert(client, [*alike, Event(1, at("2026-01-10 10:00:00"), "other", pathname="/other")])
    bench = Bench(client)
    try:
        sessions = SessionsBuilder(OP).sessions(bench, DAY, DAY + ONE_DAY, [1])
        found_in = {"sessions": sessions, "alike": SessionsBuilder(OP).alike(bench, sessions)}
        for table in TABLES:
            staging = bench.staging(table)
            bench.command("dags.web_preaggregated", table, {"day": DAY}, staging=staging, **found_in)
            [(rows,)] = client.query(f"SELECT count() FROM {staging}").result_rows
            assert rows == len(stored(client, staging)) == 2, table
    finally:
        for table in bench.tables:
            client.command(f"DROP TABLE IF EXISTS {table} SYNC")


@pytest.fixture
def server_client(client: Client) -> Client:
    if is_embedded(client):
        pytest.skip("the embedded engine keeps no query_log")
    return client


@pytest.mark.parametrize(
    ("few", "readings"), [(100, [300, 300 + 100]), (0, [300, 300, 300 + 100])], ids=["few", "many"]
)
def test_a_build_reads_the_rows_of_events_so_often_and_no_more(
    server_client: Client, few: int, readings: list[int]
) -> None:
    """Three times those of the day and its neighbours, of few teams twice, and those of the day once more: another
    reading has its reasons.

    Which deliveries are repeated, which sessions are unusual, the events of both; and the events of all others.
    """
    events = [
        Event(1, at(f"2026-01-{day:02} 10:00:00"), f"{day}-{n}") for day in (8, 9, 10, 11, 12) for n in range(100)
    ]
    insert(server_client, events)
    mark = f"rows-{uuid4().hex}"
    server_client.set_client_setting("log_comment", mark)
    build(
        server_client, 1, tables=tuple(replace(one, builder=SessionsBuilder(OP, few_teams=few)) for one in WEB_TABLES)
    )
    server_client.set_client_setting("log_comment", "")
    server_client.command("SYSTEM FLUSH LOGS query_log")
    rows = server_client.query(
        "SELECT read_rows FROM system.query_log WHERE log_comment = {mark:String} AND type = 'QueryFinish' "
        "AND query_kind IN ('Create', 'Insert') AND has(tables, concat(currentDatabase(), '.events')) "
        "ORDER BY event_time_microseconds",
        parameters={"mark": mark},
    ).result_rows
    assert [read for (read,) in rows] == readings
