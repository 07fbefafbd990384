"""A source that is altered in place changes no count and no arrival: its parts tell, and units are counted again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from dags.detection.alterations import Parts, is_altered, is_mutated, partition_period
from dags.detection.rules import Cause, Kind
from dags.team_selection.store import write_selection
from dags.tests.as_built import as_built
from dags.tests.builds import TABLES, build
from dags.tests.detection.test_store import detected
from dags.tests.events import Event, at, insert
from dags.tests.variants import embedded_at_night

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

pytestmark = [pytest.mark.story, embedded_at_night]

DAY, OTHER = date(2026, 1, 5), date(2026, 1, 9)

# In place: the number of rows and their newest arrival stay what they are.
MERGES_TWO_SESSIONS = (
    "ALTER TABLE events UPDATE session_id = 'one' WHERE team_id = 1 AND toDate(timestamp) = '2026-01-05' "
    "SETTINGS mutations_sync = 2"
)


@pytest.fixture
def complete(client: Client) -> Client:
    """Two teams with two sessions on each of two days that are far apart, all built and seen once."""
    write_selection(client, [1, 2])
    for day in (DAY, OTHER):
        insert(client, [Event(t, at(f"{day} 1{n}:00:00"), f"{t}-{n}") for t in (1, 2) for n in range(2)])
    as_built(client, 1, 2, days=[DAY, OTHER])
    assert not detected(client).wrong
    return client


def test_two_sessions_that_an_update_merges_are_found_in_both_tables_though_every_count_is_the_same(
    complete: Client,
) -> None:
    complete.command(MERGES_TWO_SESSIONS)
    for reads_all_days in (False, True, False):
        found = detected(complete, reads_all_days=reads_all_days)
        assert {(v.unit.table, v.unit.team_id, v.unit.day) for v in found.wrong} == {(t, 1, DAY) for t in TABLES}
        assert {(v.kind, v.cause) for v in found.wrong} == {(Kind.STALE, Cause.SOURCE_SHRANK)}
    build(complete, 1, day=DAY, allow_shrink=True)
    assert not detected(complete).wrong


def test_only_the_days_within_reach_of_an_alteration_are_counted_again_and_once(complete: Client) -> None:
    complete.command(
        "ALTER TABLE events UPDATE browser = 'x' WHERE toDate(timestamp) = '2026-01-05' SETTINGS mutations_sync = 2"
    )
    altered = detected(complete)
    assert not altered.wrong
    # The mutation ran over every part, and changed one; its day and both neighbours are read.
    assert altered.days_read == 3
    assert verified(complete) == {(table, team, DAY) for table in TABLES for team in (1, 2)}
    assert detected(complete, reads_all_days=True).wrong == ()
    complete.command("OPTIMIZE TABLE events FINAL")
    detected(complete)
    # A merge is no alteration: nothing is counted exactly for it.
    assert len(rows_verified(complete)) == 4


def test_what_began_before_an_alteration_was_noticed_settles_nothing_though_it_ends_later(complete: Client) -> None:
    """A build or a verification that had read the events before they were altered, and is recorded after."""
    complete.command(MERGES_TWO_SESSIONS)
    assert len(detected(complete).wrong) == len(TABLES)
    for outcome in ("built", "verified"):
        complete.command(
            f"INSERT INTO web_pre_aggregated_builds SELECT * REPLACE('{outcome}' AS outcome, now64(6) AS finished_at) "
            "FROM web_pre_aggregated_builds WHERE outcome = 'built'"
        )
        assert len(detected(complete, reads_all_days=True).wrong) == len(TABLES)


def test_another_table_in_the_place_of_the_source_is_no_source_that_was_seen(complete: Client) -> None:
    complete.command("CREATE TABLE copied AS events")
    complete.command("INSERT INTO copied SELECT * FROM events")
    complete.command(MERGES_TWO_SESSIONS.replace("ALTER TABLE events", "ALTER TABLE copied"))
    complete.command("EXCHANGE TABLES events AND copied")
    assert {v.unit.team_id for v in detected(complete).wrong} == {1}


def test_a_built_table_whose_sessions_are_altered_and_whose_page_views_are_not_is_found(complete: Client) -> None:
    """Page views are all that is compared cheaply."""
    for table in TABLES:
        complete.command(
            f"ALTER TABLE {table} UPDATE sessions_uniq_state = initializeAggregation('uniqState', 'x') "
            "WHERE team_id = 2 AND toDate(period_bucket) = '2026-01-05'"
        )
    for reads_all_days in (False, True):
        found = detected(complete, reads_all_days=reads_all_days)
        assert {(v.unit.table, v.unit.team_id, v.unit.day) for v in found.wrong} == {(t, 2, DAY) for t in TABLES}
    build(complete, 2, day=DAY)
    assert not detected(complete).wrong


@pytest.mark.parametrize("key", ["toYYYYMMDD(inserted_at)", "toYYYYMM(inserted_at)", "cityHash64(team_id) % 4"])
def test_a_source_that_is_partitioned_by_anything_else_is_watched_as_well(client: Client, key: str) -> None:
    [(ddl,)] = client.query("SHOW CREATE TABLE events").result_rows
    client.command("DROP TABLE events SYNC")
    try:
        client.command(ddl.replace("toYYYYMMDD(timestamp)", key))
        write_selection(client, [1])
        insert(client, [Event(1, at(f"{DAY} 1{n}:00:00"), f"{n}") for n in range(2)])
        as_built(client, 1, days=[DAY])
        assert not detected(client).wrong
        client.command(MERGES_TWO_SESSIONS)
        assert {v.unit.day for v in detected(client).wrong} == {DAY}
        insert(client, [Event(1, at(f"{OTHER} 10:00:00"), "late", inserted_at=at("2026-02-01 00:00:00"))])
        assert {v.unit.day for v in detected(client).wrong} == {DAY, OTHER}
    finally:
        client.command("DROP TABLE IF EXISTS events SYNC")
        client.command(ddl)


def test_a_planning_detection_sees_an_alteration_and_keeps_nothing(complete: Client) -> None:
    complete.command(MERGES_TWO_SESSIONS)
    states = complete.query("SELECT count() FROM web_pre_aggregated_part_states").result_rows
    assert len(detected(complete, records=False).wrong) == len(TABLES)
    assert complete.query("SELECT count() FROM web_pre_aggregated_part_states").result_rows == states
    assert len(detected(complete).wrong) == len(TABLES)


def rows_verified(client: Client) -> list[tuple[str, int, date]]:
    sql = "SELECT table_name, team_id, day FROM web_pre_aggregated_builds WHERE outcome = 'verified'"
    return [(table, team, day) for table, team, day in client.query(sql).result_rows]


def verified(client: Client) -> set[tuple[str, int, date]]:
    return set(rows_verified(client))


SEEN = Parts(table="a", contents=1, mutation=0, first_block=1, last_block=4, rows=10)


@pytest.mark.parametrize(
    ("now", "altered"),
    [
        (SEEN, False),
        (replace(SEEN, contents=2), False),
        (replace(SEEN, contents=2, last_block=5, rows=11), False),
        (replace(SEEN, mutation=9), False),
        (replace(SEEN, contents=2, mutation=9), True),
        (replace(SEEN, contents=2, first_block=5, last_block=6), True),
        (replace(SEEN, contents=2, last_block=5), True),
        (replace(SEEN, contents=2, rows=9), True),
        (replace(SEEN, table="b"), True),
    ],
    ids=["same", "merged", "grown", "untouched by a mutation", "mutated", "replaced", "exchanged", "shrunk", "renamed"],
)
def test_parts_tell_an_alteration_from_a_merge_and_from_an_insert(now: Parts, altered: bool) -> None:  # noqa: FBT001
    assert is_altered({"20260105": SEEN}, {"20260105": now}) is altered


def test_a_patch_alters_and_a_new_day_does_not() -> None:
    assert is_altered({}, {"patch-0a-20260105": SEEN})
    assert is_altered({"patch-0a-20260105": SEEN}, {})
    assert not is_altered({}, {"20260105": SEEN})
    assert not is_mutated({}, {"20260105": SEEN})
    assert is_mutated({}, {"patch-0a-20260105": SEEN})


@pytest.mark.parametrize(
    ("now", "mutated"),
    [
        (replace(SEEN, contents=2), False),
        (replace(SEEN, contents=2, last_block=5, rows=11), False),
        (replace(SEEN, contents=2, first_block=5, last_block=6, mutation=9), False),
        (replace(SEEN, mutation=9), False),
        (replace(SEEN, contents=2, mutation=9), True),
    ],
    ids=["merged", "written into", "built", "untouched by a mutation", "mutated"],
)
def test_a_build_is_no_alteration_of_a_table_that_is_built(now: Parts, mutated: bool) -> None:  # noqa: FBT001
    assert is_mutated({"20260105": SEEN}, {"20260105": now}) is mutated


@pytest.mark.parametrize(
    ("partition_key", "partition", "day", "named"),
    [
        ("toYYYYMMDD(period_bucket)", "20260110", "toDate(period_bucket)", "20260110"),
        ("toYYYYMMDD(day)", "20260110", "day", "20260110"),
        ("toDate(ordered_at)", "20260110", "toDate(ordered_at)", "20260110"),
        ("toYYYYMM(ordered_at)", "202601", "toDate(ordered_at)", "202601"),
        ("(team_id, toYYYYMMDD(ts))", "7-20260110", "toDate(ts)", "20260110"),
        ("toYYYYMMDD(ts)", "patch-0cc175b9c0f1b6a831c399e269772661-20260110", "toDate(ts)", "20260110"),
        ("toYYYYMMDD(inserted_at)", "20260110", "toDate(ts)", ""),
        ("toYYYYMM(inserted_at)", "202601", "toDate(ts)", ""),
        ("toYYYYMMDD(ts, 'Asia/Tokyo')", "20260110", "toDate(ts)", ""),
        ("toYYYYMMDD(ts)", "20260110", "toDate(ts + 1)", ""),
        ("(toYYYYMMDD(ts), team_id)", "20260110-20260111", "toDate(ts)", ""),
        ("team_id", "20260110", "toDate(ts)", ""),
        ("intDiv(team_id, 10)", "202601", "toDate(ts)", ""),
        ("cityHash64(host)", "12345678", "toDate(ts)", ""),
        ("", "all", "toDate(ts)", ""),
        ("toYYYYMMDD(ts)", "", "toDate(ts)", ""),
    ],
)
def test_a_partition_names_its_day_or_month_only_where_its_key_does(
    partition_key: str, partition: str, day: str, named: str
) -> None:
    """An id of eight digits may be a team: its rows may be of any day, and none must be overlooked."""
    assert partition_period(partition_key, partition, day) == named
