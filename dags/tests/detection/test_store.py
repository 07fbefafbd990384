"""Detection on a real engine: nothing missed, nothing invented, and no row read that a projection can spare."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from dags.clickhouse.sql import Sql, statement
from dags.detection.rules import Cause, Kind
from dags.detection.signals import source_identifiers, target_identifiers
from dags.detection.store import detect
from dags.domain.days import ONE_DAY, start_of
from dags.domain.errors import SchemaError
from dags.domain.units import Measure
from dags.team_selection.store import write_selection
from dags.tests.as_built import as_built
from dags.tests.builds import TABLES
from dags.tests.events import Event, at, insert
from dags.tests.fold import sessions_of, stored
from dags.tests.variants import server_in_stories
from dags.tests.web_preaggregated.test_store import drawn_events
from dags.web_preaggregated.tables import STATS, WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_connect.driver.client import Client

    from dags.detection.detection import Detection

pytestmark = server_in_stories

DAY = date(2026, 1, 10)
NOW = at("2026-01-14 06:00:00")


def detected(
    client: Client, now: datetime = NOW, settle_hours: int = 1, *, reads_all_days: bool = False, records: bool = True
) -> Detection:
    return detect(
        client,
        now,
        WEB_TABLES,
        lookback_days=30,
        settle=timedelta(hours=settle_hours),
        reads_all_days=reads_all_days,
        records=records,
    )


def found(client: Client, now: datetime = NOW) -> set[tuple[str, int, date, Kind, Cause]]:
    wrong = detected(client, now).wrong
    return {(v.unit.table, v.unit.team_id, v.unit.day, v.kind, v.cause) for v in wrong}


def missing(team: int, day: date, cause: Cause = Cause.NEVER_BUILT) -> set[tuple[str, int, date, Kind, Cause]]:
    return {(table, team, day, Kind.MISSING, cause) for table in TABLES}


MILLISECOND = timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("first", "view", "expected_on"),
    [
        (start_of(DAY) - MILLISECOND, start_of(DAY) - MILLISECOND, date(2026, 1, 9)),
        (start_of(DAY), start_of(DAY), DAY),
        (start_of(DAY) - MILLISECOND, start_of(DAY) + MILLISECOND, date(2026, 1, 9)),
        (start_of(DAY) + 24 * 3600 * timedelta(seconds=1) - MILLISECOND, start_of(date(2026, 1, 11)), DAY),
    ],
    ids=["just before midnight", "at midnight", "across midnight into the day", "across midnight out of the day"],
)
def test_a_session_is_expected_on_the_day_of_its_first_event(
    client: Client, first: datetime, view: datetime, expected_on: date
) -> None:
    write_selection(client, [1])
    insert(client, [Event(1, first, event="$autocapture"), Event(1, view)])
    assert found(client) == missing(1, expected_on)


def test_a_day_is_judged_once_it_is_settled_and_today_never(client: Client) -> None:
    write_selection(client, [1])
    insert(client, [Event(1, at("2026-01-13 12:00:00"), "s"), Event(1, at("2026-01-14 01:00:00"), "t")])
    assert found(client, at("2026-01-14 00:59:59.999")) == set()
    assert found(client, at("2026-01-14 01:00:00")) == missing(1, date(2026, 1, 13))
    assert found(client, at("2026-01-14 23:59:59")) == missing(1, date(2026, 1, 13))


def test_what_is_expected_is_verified_and_not_asked_again(client: Client) -> None:
    """A visit that began the evening before leaves page views on a day on which no session begins."""
    write_selection(client, [1])
    insert(client, [Event(1, at("2026-01-09 23:59:00")), Event(1, at("2026-01-10 00:01:00"))])
    for _ in range(2):
        assert found(client) == missing(1, date(2026, 1, 9))
        assert {v.unit.day for v in detected(client, reads_all_days=True).wrong} == {date(2026, 1, 9)}
        verified = client.query("SELECT table_name, day FROM web_pre_aggregated_builds ORDER BY table_name").result_rows
        assert verified == [(table, DAY) for table in sorted(TABLES)]
    insert(client, [Event(1, at("2026-01-10 10:00:00"), "new")])
    assert found(client) == missing(1, date(2026, 1, 9)) | missing(1, DAY, Cause.ARRIVED_LATE)


def test_the_same_events_delivered_again_change_nothing(client: Client) -> None:
    write_selection(client, [1])
    events = [Event(1, at(f"2026-01-10 {hour:02}:00:00"), f"s{hour}") for hour in range(5)]
    insert(client, events)
    as_built(client, 1, days=[DAY])
    insert(client, [Event(**{**e.__dict__, "inserted_at": at("2026-01-12 00:00:00")}) for e in events])
    before = detected(client)
    assert before.wrong == ()
    assert before.complete_by_table == dict.fromkeys(TABLES, 1)
    assert detected(client, reads_all_days=True).cost.queries < before.cost.queries


def test_detection_changes_no_table_but_the_ledger(client: Client) -> None:
    write_selection(client, [1, 2])
    insert(client, [Event(team, at("2026-01-10 10:00:00")) for team in (1, 2)])
    as_built(client, 1, days=[DAY])
    before = [stored(client, table) for table in TABLES]
    assert found(client) == missing(2, DAY)
    assert [stored(client, table) for table in TABLES] == before != [{}, {}]


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_any_number_of_teams(client: Client, count: int) -> None:
    write_selection(client, range(1, count + 1))
    client.command(
        "INSERT INTO events (team_id, uuid, event, timestamp, session_id) "
        "SELECT number + 1, generateUUIDv4(), '$pageview', toDateTime64('2026-01-10 10:00:00', 6, 'UTC'), 's' "
        f"FROM numbers({count})"
    )
    detection = detected(client)
    assert detection.teams == count
    assert len(detection.wrong) == count * len(TABLES)
    assert bool(detection.warnings) == (count == 0)


def test_a_database_without_the_schema_is_refused_in_words(client: Client) -> None:
    client.command("RENAME TABLE web_analytics_schema_version TO web_pre_aggregated_staging_hidden")
    try:
        with pytest.raises(SchemaError, match="apply_schema_job"):
            detected(client)
    finally:
        client.command("RENAME TABLE web_pre_aggregated_staging_hidden TO web_analytics_schema_version")


def test_a_list_that_is_old_or_unlike_its_dictionary_is_reported(client: Client) -> None:
    client.command("INSERT INTO web_pre_aggregated_teams VALUES (1, 1, '2026-01-13 00:00:00')")
    client.command("SYSTEM RELOAD DICTIONARY web_pre_aggregated_teams_dict")
    client.command("INSERT INTO web_pre_aggregated_teams VALUES (9, 1, '2026-01-13 00:00:00')")
    warnings = " ".join(detected(client).warnings)
    assert "the list of teams is from 2026-01-13" in warnings
    assert "web_pre_aggregated_teams_dict disagrees with the list about 1 team" in warnings


def test_suspects_are_found_by_projections_alone(client: Client) -> None:
    """Guards what makes detection cheap: without the projections it would read every row of the window."""
    write_selection(client, [1])
    insert(client, [Event(1, at("2026-01-10 10:00:00"), f"s{n}") for n in range(50)])
    as_built(client, 1, days=[DAY])
    bound = {
        "start": date(2026, 1, 1), "end": date(2026, 1, 13), "closed_before": DAY, "reach": 1,
        "doubted_tables": [], "doubted": [], "doubted_since": [],
        "tables": list(TABLES), "logic_versions": [1, 1],
    }  # fmt: skip
    sql = Sql("dags.detection", client)
    present = sql.union("present", [target_identifiers(table) for table in WEB_TABLES])
    identifiers = {"present": present, **source_identifiers(STATS.source)}
    text = statement("dags.detection", "suspects", identifiers)
    plan = "\n".join(row[0] for row in client.query(f"EXPLAIN projections = 1 {text}", parameters=bound).result_rows)
    # The source is read once, each table once, the ledger once, and nothing else.
    assert plan.count("ReadFromMergeTree (coverage)") == 3, plan
    assert plan.count("ReadFromMergeTree (last)") == 1, plan
    # Of the ledger's rows only days that were altered in place, and here is none.
    assert plan.count("ReadFromMergeTree") == 5, plan
    _, ledger = plan.split("ReadFromMergeTree (web_analytics.web_pre_aggregated_builds)")
    assert "Parts: " not in ledger.replace("Parts: 0 ", ""), plan
    sql.rows("suspects", bound, **identifiers)
    assert (sql.cost.rows_read or 0) < 20
    text = statement("dags.detection", "recorded_builds", {})
    span = {"start": date(2026, 1, 1), "end": date(2026, 1, 13)}
    plan = "\n".join(row[0] for row in client.query(f"EXPLAIN projections = 1 {text}", parameters=span).result_rows)
    assert plan.count("ReadFromMergeTree (recorded)") == 1, plan


def test_without_the_projections_detection_is_as_right(client: Client) -> None:
    write_selection(client, [1, 2])
    insert(client, [Event(team, at("2026-01-10 10:00:00")) for team in (1, 2)])
    as_built(client, 1, days=[DAY])
    expected = found(client)
    tables = ("events", *TABLES)
    for table in tables:
        client.command(f"ALTER TABLE {table} DROP PROJECTION coverage SETTINGS mutations_sync = 2")
    try:
        assert found(client) == expected == missing(2, DAY)
    finally:
        for migration in ("0004_events_coverage", "0011_web_pre_aggregated_stats_coverage"):
            Sql("dags.clickhouse.schema", client).command(migration)
        Sql("dags.clickhouse.schema", client).command("0015_web_pre_aggregated_bounces_coverage")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delivered=drawn_events)
def test_the_rule_that_verifies_a_unit_is_the_rule_that_builds_it(client: Client, delivered: list[Event]) -> None:
    client.command("TRUNCATE TABLE events SYNC")
    events = [
        Event(**{**event.__dict__, "inserted_at": at("2026-01-12 00:00:00") + timedelta(seconds=n)})
        for n, event in enumerate(delivered)
    ]
    insert(client, events)
    units = list(product((DAY - ONE_DAY, DAY, DAY + ONE_DAY), (1, 2)))
    bound = {"days": [day for day, _ in units], "teams": [team for _, team in units]}
    rows = Sql("dags.web_preaggregated", client).rows("unit_sources", bound)
    counted = {(day, team): Measure(*counts) for day, team, *counts, _ in rows if any(counts)}
    assert {(day, team): read for day, team, *_, read in rows} == {
        (day, team): read for day, team in units if (read := within_reach(events, day, team))
    }
    assert counted == {
        (day, team): expected_measures(events, day)[team]
        for day, team in units
        if team in expected_measures(events, day)
    }


def within_reach(events: Sequence[Event], day: date, team: int) -> int:
    near = (day - ONE_DAY, day, day + ONE_DAY)
    return sum(event.team_id == team and event.timestamp.date() in near for event in events)


def expected_measures(events: Sequence[Event], day: date) -> dict[int, Measure]:
    expected: dict[int, Measure] = {}
    for session in sessions_of(events, day):
        before = expected.get(session.team_id, Measure())
        expected[session.team_id] = Measure(before.distinct + 1, before.total + len(session.pageviews))
    return expected
