"""The schema is applied to databases that are new, old, newer, broken, or full of tables that somebody made by hand."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema, recorded_version, require_schema
from dags.clickhouse.schema.declared import BOOKS, FOR_LOADS, migrations, required_columns, views
from dags.clickhouse.sql import Sql
from dags.clickhouse.targets.facts import NEXT_STEP
from dags.clickhouse.targets.store import names_of, require_usable
from dags.detection.gaps.rules import Gap
from dags.detection.gaps.store import read_gaps
from dags.domain.errors import BuildError, SchemaError
from dags.tests.clickhouse.schema import own_database
from dags.tests.conftest import ENGINES
from dags.tests.events import Event, at, insert
from dags.tests.runbook import symptom
from dags.tests.variants import both_by_day, embedded_at_night, variants
from dags.web_preaggregated.tables import EVENTS as SOURCE
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

pytestmark = embedded_at_night

NEWEST = migrations()[-1].version
NEWEST_OF_0_4_0 = 30
NEWEST_OF_0_11_0 = 58
DICTIONARY = "web_pre_aggregated_teams_dict"
STATS, BOUNCES = "web_pre_aggregated_stats", "web_pre_aggregated_bounces"


# Read by people; nothing here depends on it.
VIEWS = (
    "web_pre_aggregated_verdicts",
    "backfill_log",
    "queue_backfill_data",
    "processed_files",
    "web_analytics_files",
    "web_analytics_work_events",
    "web_analytics_work_log",
    "web_analytics_builds",
    "web_analytics_builds_by_week",
    "web_analytics_gap_log",
    "web_analytics_gaps_by_week",
    "web_analytics_run_costs",
    "web_analytics_costs_by_week",
    "web_analytics_statements",
)


@pytest.fixture(params=ENGINES)
def own(request: pytest.FixtureRequest, engine_dsn: Callable[[str], str]) -> Iterator[Client]:
    """A client of an empty database of the test's own, on each engine."""
    with own_database(engine_dsn(request.param)) as (_, client):
        yield client


def definitions(client: Client) -> dict[str, str]:
    """How each table and dictionary of the database is defined."""
    rows = client.query("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()")
    return {name: str(definition) for name, definition in rows.result_rows}


def refusal(client: Client, act: Callable[[Client], object]) -> str:
    with pytest.raises(SchemaError) as refused:
        act(client)
    return str(refused.value)


def remake(client: Client, table: str) -> None:
    """Put a table of the same rows in the place of one, made without what the numbered files add to it later."""
    made = definitions(client)[table]
    made = re.sub(r", (?:`load_id` \w+ DEFAULT 0|INDEX \w+ .*? GRANULARITY \d+)", "", made)
    bare = re.sub(r" SETTINGS .*", " SETTINGS index_granularity = 8192", made, flags=re.DOTALL)
    client.command(re.sub(r"CREATE TABLE \S+", "CREATE TABLE remade", bare, count=1))
    client.command(f"EXCHANGE TABLES {table} AND remade")
    client.command("DROP TABLE remade SYNC")


# --- New, again, older, newer ------------------------------------------------------------------------------


@both_by_day
def test_a_fresh_database_gets_everything_and_a_second_time_nothing(own: Client) -> None:
    assert apply_schema(own, WEB_TABLES) == migrations()
    first = definitions(own)
    assert first.keys() == {*required_columns(), DICTIONARY, *VIEWS}
    assert apply_schema(own, WEB_TABLES) == ()
    assert definitions(own) == first
    require_schema(own)


def test_a_table_that_its_owner_made_anew_is_named_and_given_again_what_it_lacks(own: Client) -> None:
    apply_schema(own, WEB_TABLES)
    first = definitions(own)
    assert require_schema(own, WEB_TABLES).notes == ()
    remake(own, "events")
    own.command(f"ALTER TABLE {BOUNCES} DROP PROJECTION coverage")
    with pytest.raises(DatabaseError, match="344"):
        own.command("DELETE FROM events WHERE team_id = 1")
    said = require_schema(own, WEB_TABLES).notes
    seen = symptom("lacks what apply_schema_job had given it")
    assert len(said) == len([note for note in said if seen.search(note)]) == 2
    assert "lightweight_mutation_projection_mode = 'rebuild'" in said[0]
    assert "(PROJECTION coverage)" in said[1]
    given = [migration.name[5:] for migration in apply_schema(own, WEB_TABLES)]
    assert given == [
        "events_projection_settings",
        "web_pre_aggregated_bounces_coverage",
        "web_pre_aggregated_bounces_coverage_of_old_parts",
        "events_load_id",
        "events_load_id_index",
    ]
    assert require_schema(own, WEB_TABLES).notes == ()
    own.command("DELETE FROM events WHERE team_id = 1")
    assert {name: sorted(text) for name, text in definitions(own).items()} == {
        name: sorted(text) for name, text in first.items()
    }
    assert apply_schema(own, WEB_TABLES) == ()


def test_an_owners_own_values_of_settings_are_no_lack_and_stay_when_something_else_is_healed(own: Client) -> None:
    apply_schema(own, WEB_TABLES)
    mine = "lightweight_mutation_projection_mode = 'drop', deduplicate_merge_projection_mode = 'drop'"
    own.command(f"ALTER TABLE events MODIFY SETTING {mine}")
    assert require_schema(own, WEB_TABLES).notes == ()
    assert apply_schema(own, WEB_TABLES) == ()
    own.command(f"ALTER TABLE {BOUNCES} DROP PROJECTION coverage")
    healed = apply_schema(own, WEB_TABLES)
    assert {migration.table for migration in healed} == {BOUNCES}
    assert not any("settings" in migration.name for migration in healed)
    assert mine in definitions(own)["events"]
    assert require_schema(own, WEB_TABLES).notes == ()


def test_of_two_settings_the_one_that_is_gone_is_given_again_and_the_owners_own_stays(own: Client) -> None:
    apply_schema(own, WEB_TABLES)
    own.command("ALTER TABLE events MODIFY SETTING lightweight_mutation_projection_mode = 'drop'")
    own.command("ALTER TABLE events RESET SETTING deduplicate_merge_projection_mode")
    assert [migration.name[5:] for migration in apply_schema(own, WEB_TABLES)] == ["events_projection_settings"]
    assert "lightweight_mutation_projection_mode = 'drop'" in definitions(own)["events"]
    assert "deduplicate_merge_projection_mode = 'rebuild'" in definitions(own)["events"]
    assert apply_schema(own, WEB_TABLES) == ()


def test_what_a_table_cannot_be_given_and_all_do_without_is_told_and_keeps_no_later_file_back(own: Client) -> None:
    apply_schema(own, WEB_TABLES)
    own.command("ALTER TABLE events DROP INDEX load_id_set")
    own.command("ALTER TABLE events DROP COLUMN load_id")
    own.command("ALTER TABLE events ADD COLUMN load_id UInt64 ALIAS 0")
    own.command(f"DELETE FROM web_analytics_schema_version WHERE version = {NEWEST}", settings={"mutations_sync": 2})
    told: list[str] = []
    applied = apply_schema(own, WEB_TABLES, told.append)
    assert [migration.name[5:] for migration in applied[:-1]] == ["events_load_id_index"]
    assert applied[-1].version == recorded_version(own) == NEWEST
    assert len(told) == 1
    assert told[0].startswith("events was not given INDEX load_id_set: ")
    with pytest.raises(SchemaError, match="INDEX load_id_set"):
        apply_schema(own, WEB_TABLES)


def test_views_that_are_gone_are_made_anew_and_no_other(own: Client) -> None:
    apply_schema(own, WEB_TABLES)
    before = definitions(own)
    assert set(VIEWS) == views()
    for gone in (["web_analytics_work_events", "backfill_log"], [*VIEWS]):
        for name in gone:
            own.command(f"DROP VIEW {name} SYNC")
        assert {migration.table for migration in apply_schema(own, WEB_TABLES)} == {*gone}
        # Of a view over a view the types are those of the day on which it was made.
        assert definitions(own).keys() == before.keys()
        for name in VIEWS:
            own.command(f"SELECT * FROM {name} LIMIT 0")
    assert apply_schema(own, WEB_TABLES) == ()


def test_a_projection_of_a_longer_name_and_words_in_a_comment_are_not_what_a_table_lacks(own: Client) -> None:
    apply_schema(own, WEB_TABLES)
    own.command(f"ALTER TABLE {BOUNCES} DROP PROJECTION coverage")
    own.command(f"ALTER TABLE {BOUNCES} ADD PROJECTION coverage_v2 (SELECT team_id, count() GROUP BY team_id)")
    own.command(f"ALTER TABLE {BOUNCES} COMMENT COLUMN host ', PROJECTION coverage ('")
    own.command(f"ALTER TABLE {BOUNCES} MODIFY COMMENT ', PROJECTION coverage ('")
    [said] = require_schema(own, WEB_TABLES).notes
    assert said.startswith(f"the table {BOUNCES} lacks what apply_schema_job had given it (PROJECTION coverage), ")
    assert {migration.table for migration in apply_schema(own, WEB_TABLES)} == {BOUNCES}
    assert require_schema(own, WEB_TABLES).notes == ()


def test_every_applied_file_is_recorded_once(own: Client) -> None:
    apply_schema(own, WEB_TABLES)
    apply_schema(own, WEB_TABLES)
    recorded = own.query("SELECT version, name FROM web_analytics_schema_version ORDER BY version").result_rows
    assert recorded == [(migration.version, migration.name) for migration in migrations()]
    assert recorded_version(own) == NEWEST


def test_the_columns_that_are_required_are_those_that_are_made(own: Client) -> None:
    apply_schema(own, WEB_TABLES)
    rows = own.query(
        "SELECT table, groupArray(name) FROM (SELECT table, name FROM system.columns "
        f"WHERE database = currentDatabase() AND table NOT IN {(DICTIONARY, *VIEWS)} AND default_kind != 'ALIAS' "
        # A table without it is as good a source: only what is loaded has it.
        f"AND name NOT IN {(*FOR_LOADS, '')} "
        "ORDER BY table, position) "
        "GROUP BY table"
    ).result_rows
    assert {table: tuple(columns) for table, columns in rows} == required_columns()
    assert {"events", STATS, BOUNCES} < required_columns().keys()
    assert "qualifies" in required_columns()["events"]
    # Whatever a file makes is of our own books, or is judged by itself as a watched table or a source.
    assert required_columns().keys() - BOOKS == names_of(WEB_TABLES)


def test_a_reader_of_posthogs_tables_finds_its_columns_empty_and_one_who_fills_them_keeps_them(own: Client) -> None:
    types = {"mat_metadata_loggedIn": "Nullable(Bool)", "mat_metadata_backend": "Nullable(String)"}
    filled = {**types, "mat_metadata_backend": "Nullable(UInt8)"}
    make_by_hand(own, STATS)
    for name, kind in filled.items():
        own.command(f"ALTER TABLE {STATS} ADD COLUMN {name} {kind}")
    make_by_hand(own, BOUNCES)
    own.command(f"INSERT INTO {BOUNCES} (period_bucket, team_id) VALUES ('2026-01-01 00:00:00', 1)")
    for table in (STATS, BOUNCES):
        assert frozenset().union(*(one.columns for one in migrations() if one.table == table)) == types.keys()
    for again in range(2):
        apply_schema(own, WEB_TABLES)
        require_schema(own, WEB_TABLES)
        for table, expected, kind in ((STATS, filled, ""), (BOUNCES, types, "ALIAS")):
            rows = own.query(
                "SELECT name, type, default_kind FROM system.columns WHERE database = currentDatabase() "
                f"AND table = '{table}' AND startsWith(name, 'mat_')"
            ).result_rows
            assert {name: (type_, found) for name, type_, found in rows} == {
                name: (type_, kind) for name, type_ in expected.items()
            }
        read = f"SELECT count(), countIf(mat_metadata_loggedIn IS NULL) FROM {BOUNCES} WHERE mat_metadata_backend"
        assert own.query(f"{read} IS NULL").result_rows == [(1, 1)]
        assert own.query(f"{read} = 'x'").result_rows == [(0, 0)]
        if not again:
            own.command(f"ALTER TABLE {BOUNCES} DROP COLUMN mat_metadata_loggedIn")


def test_numbers_of_files_are_never_given_twice_nor_left_out() -> None:
    assert [migration.version for migration in migrations()] == list(range(len(migrations())))


def test_a_database_without_a_schema_says_so_and_names_the_job(own: Client) -> None:
    assert recorded_version(own) is None
    assert refusal(own, require_schema) == f"the database {own.database!r} has no schema yet: {NEXT_STEP}"
    assert "apply_schema_job" in NEXT_STEP
    assert definitions(own) == {}


@both_by_day
def test_a_database_of_an_older_version_says_so_and_gets_what_it_lacks(own: Client) -> None:
    apply_schema(own, WEB_TABLES)
    own.command(f"DELETE FROM web_analytics_schema_version WHERE version > {NEWEST - 2}")
    assert refusal(own, require_schema) == (
        f"the database {own.database!r} has schema version {NEWEST - 2}, this code needs {NEWEST}: {NEXT_STEP}"
    )
    assert symptom("has schema version …").search(refusal(own, require_schema))
    assert apply_schema(own, WEB_TABLES) == migrations()[-2:]
    require_schema(own)


def test_rows_of_0_4_0_are_kept_and_what_comes_after_them_is_stamped_by_the_server(own: Client) -> None:
    sql = Sql("dags.clickhouse.schema", own)
    for migration in migrations():
        if migration.version <= NEWEST_OF_0_4_0:
            sql.command(migration.name, database=str(own.database))
    stamped = {
        "web_analytics_backfill_events": ("backfill_id", ["at"]),
        "web_analytics_backfill_stops": ("reason", ["at"]),
        "web_analytics_waivers": ("waiver_id", ["at"]),
        "web_pre_aggregated_builds": ("run_id", ["started_at", "finished_at"]),
    }
    ahead = datetime.now(UTC) + timedelta(days=1)
    for table, (name, columns) in stamped.items():
        own.insert(table, [["old", *[ahead] * len(columns)]], column_names=[name, *columns])
    apply_schema(own, WEB_TABLES)
    for table, (name, columns) in stamped.items():
        own.insert(table, [["new"]], column_names=[name])
        rows = own.query(f"SELECT {name}, {', '.join(columns)} FROM {table} ORDER BY {name}").result_rows
        [(new, *now), old] = rows
        assert old == ("old", *[ahead] * len(columns))
        assert new == "new"
        assert all(abs(at - datetime.now(UTC)) < timedelta(minutes=1) for at in now)


@both_by_day
def test_gaps_of_0_11_0_are_kept_with_their_age_and_what_closed_them_is_not_guessed(own: Client) -> None:
    sql, hour = Sql("dags.clickhouse.schema", own), timedelta(hours=1)
    then, never, day = datetime(2026, 1, 10, 6, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), date(2026, 1, 3)
    for migration in migrations():
        if migration.version <= NEWEST_OF_0_11_0:
            sql.command(migration.name, database=str(own.database))
            own.insert("web_analytics_schema_version", [[migration.version, migration.name]], ["version", "name"])
    columns = ("table_name", "day", "is_held", "event", "units", "reason", "opened_at", "at")
    rows = [
        (STATS, day, False, "opened", 2, "never built", never, then),
        (STATS, day, False, "closed", 0, "", then, then + 5 * hour),
        (STATS, day, False, "opened", 1, "rows were lost", never, then + 7 * hour),
        (BOUNCES, day, True, "opened", 3, "held", never, then),
        (BOUNCES, day, False, "opened", 4, "never built", never, then),
        (BOUNCES, day, False, "left", 0, "", then, then + hour),
    ]
    own.insert("web_analytics_gaps", rows, columns)
    for migration in migrations()[NEWEST_OF_0_11_0 + 1 : -4]:  # applied by one who was killed, and not recorded
        sql.command(migration.name, database=str(own.database))
    assert recorded_version(own) == NEWEST_OF_0_11_0
    for _ in range(2):
        apply_schema(own, WEB_TABLES)
        require_schema(own, WEB_TABLES)
        assert read_gaps(own) == (
            Gap(BOUNCES, day, is_held=True, since=then),
            Gap(STATS, day, is_held=False, since=then + 7 * hour),
        )
        shown = "SELECT * EXCEPT (reason) FROM web_analytics_gap_log ORDER BY table_name, is_held, opened_at"
        assert own.query(shown).result_rows == [
            (BOUNCES, day, False, then, None, then + hour, 4, "", None),
            (BOUNCES, day, True, then, None, None, 3, "", None),
            (STATS, day, False, then, then + 5 * hour, None, 2, "unknown", 5.0),
            (STATS, day, False, then + 7 * hour, None, None, 1, "", None),
        ]
    by_week = "SELECT table_name, opened, closed, repaired, waived, median_hours FROM web_analytics_gaps_by_week"
    assert own.query(f"{by_week} ORDER BY ALL").result_rows == [
        (BOUNCES, 2, 0, 0, 0, None),
        (STATS, 2, 1, 0, 0, None),
    ]


def test_a_database_newer_than_the_code_is_refused_and_left_as_it_is(own: Client) -> None:
    apply_schema(own, WEB_TABLES)
    own.insert("web_analytics_schema_version", [[NEWEST + 1, "from_the_future"]], column_names=["version", "name"])
    own.command("ALTER TABLE events ADD COLUMN from_the_future String")
    before = definitions(own)
    for act in (lambda client: apply_schema(client, WEB_TABLES), require_schema):
        assert refusal(own, act) == (
            f"the database {own.database!r} has schema version {NEWEST + 1}, this code knows {NEWEST}: "
            "deploy the code that made it, or a newer one"
        )
    assert definitions(own) == before
    assert recorded_version(own) == NEWEST + 1


@pytest.mark.parametrize("loss", ["TRUNCATE TABLE", "DROP TABLE"])
def test_a_lost_version_record_is_written_anew_and_nothing_else_changes(own: Client, loss: str) -> None:
    apply_schema(own, WEB_TABLES)
    insert(own, [Event(1, at("2026-01-10 10:00:00"))])
    before = definitions(own)
    own.command(f"{loss} web_analytics_schema_version SYNC")
    assert refusal(own, require_schema) == f"the database {own.database!r} has no schema yet: {NEXT_STEP}"
    assert apply_schema(own, WEB_TABLES) == migrations()
    require_schema(own)
    assert definitions(own) == before
    assert own.query("SELECT team_id FROM events").result_rows == [(1,)]


@pytest.mark.parametrize("engine", ENGINES)
@both_by_day
def test_two_who_apply_at_once_both_succeed(engine_dsn: Callable[[str], str], engine: str) -> None:
    with own_database(engine_dsn(engine)) as (text, own):

        def applied(_: int) -> None:
            with open_client(Dsn.parse(text), wait_seconds=60) as client:
                apply_schema(client, WEB_TABLES)

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(applied, range(2)))
        require_schema(own)
        assert definitions(own).keys() == {*required_columns(), DICTIONARY, *VIEWS}


# --- Tables that are not as they should be ------------------------------------------------------------------

EVENT_COLUMNS = {
    "team_id": "UInt64",
    "uuid": "UUID",
    "event": "String",
    "timestamp": "DateTime64(6, 'UTC')",
    "distinct_id": "String",
    "person_id": "UUID",
    "session_id": "String",
    "inserted_at": "DateTime64(6, 'UTC') DEFAULT now64(6)",
    **dict.fromkeys(["host", "pathname", "referring_domain"], "String"),
    **dict.fromkeys(["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"], "String"),
    **dict.fromkeys(["browser", "os", "device_type"], "String"),
    **dict.fromkeys(["viewport_width", "viewport_height"], "Int64"),
    **dict.fromkeys(["country_code", "city_name", "region_code", "region_name"], "String"),
    **dict.fromkeys(["gclid", "gad_source", "fbclid"], "String"),
}
DIMENSIONS = {
    **dict.fromkeys(["entry_pathname", "end_pathname", "browser", "os"], "String"),
    **dict.fromkeys(["viewport_width", "viewport_height"], "Int64"),
    "referring_domain": "String",
    **dict.fromkeys(["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"], "String"),
    **dict.fromkeys(["country_code", "city_name", "region_code", "region_name"], "String"),
    **dict.fromkeys(["has_gclid", "has_gad_source_paid_search", "has_fbclid"], "Bool"),
}
KEYS = {"period_bucket": "DateTime('UTC')", "team_id": "UInt64", "host": "String", "device_type": "String"}
STATES = {
    "persons_uniq_state": "AggregateFunction(uniq, UUID)",
    "sessions_uniq_state": "AggregateFunction(uniq, String)",
    "pageviews_count_state": "AggregateFunction(sum, UInt64)",
}
STATS_COLUMNS = {**KEYS, "pathname": "String", **DIMENSIONS, **STATES}
BOUNCES_COLUMNS = {
    **KEYS,
    **DIMENSIONS,
    **STATES,
    "bounces_count_state": "AggregateFunction(sum, UInt64)",
    "total_session_duration_state": "AggregateFunction(sum, Int64)",
    "total_session_count_state": "AggregateFunction(sum, UInt64)",
}
# What the contract says of each table, and no more: no `qualifies`, no projection, no setting.
BY_HAND: dict[str, tuple[dict[str, str], str]] = {
    "events": (EVENT_COLUMNS, "MergeTree PARTITION BY toYYYYMMDD(timestamp)"),
    STATS: (STATS_COLUMNS, "AggregatingMergeTree PARTITION BY toYYYYMMDD(period_bucket)"),
    BOUNCES: (BOUNCES_COLUMNS, "AggregatingMergeTree PARTITION BY toYYYYMMDD(period_bucket)"),
}


def sorting_key(table: str, *, without: str = "") -> list[str]:
    """Every dimension is in it: rows that share the key are merged into one."""
    columns = ["team_id", "timestamp"] if table == "events" else BY_HAND[table][0].keys() - STATES.keys()
    ordered = sorted(columns, key=lambda name: (name not in {"team_id", "period_bucket"}, name))
    return [name for name in ordered if name != without and not name.endswith("_state")]


def make_by_hand(client: Client, table: str, *, without: str = "") -> None:
    columns, engine = BY_HAND[table]
    declared = ", ".join(f"{name} {kind}" for name, kind in columns.items() if name != without)
    order = ", ".join(sorting_key(table, without=without))
    client.command(f"CREATE TABLE {table} ({declared}) ENGINE = {engine} ORDER BY ({order})")


def add_by_hand(client: Client, table: str, column: str) -> None:
    into_key = f", MODIFY ORDER BY ({', '.join([*sorting_key(table, without=column), column])})"
    is_dimension = column in sorting_key(table)
    client.command(
        f"ALTER TABLE {table} ADD COLUMN {column} {BY_HAND[table][0][column]}" + (into_key if is_dimension else "")
    )


LACKING = [
    ("events", "fbclid"),
    ("events", "session_id"),
    ("events", "inserted_at"),
    (STATS, "pathname"),
    (STATS, "pageviews_count_state"),
    (BOUNCES, "total_session_count_state"),
]


@pytest.mark.parametrize(("table", "column"), variants(*LACKING))
def test_a_table_that_lacks_a_column_is_named_with_it_and_is_fine_once_it_has_it(
    own: Client, table: str, column: str
) -> None:
    make_by_hand(own, table, without=column)
    assert f"the table {table} lacks {column}" in refusal(own, lambda client: apply_schema(client, WEB_TABLES))
    add_by_hand(own, table, column)
    apply_schema(own, WEB_TABLES)
    require_schema(own)


def test_a_column_that_goes_later_is_missed_before_any_work(own: Client) -> None:
    apply_schema(own, WEB_TABLES)
    own.command("ALTER TABLE web_pre_aggregated_builds DROP COLUMN error")
    assert refusal(own, require_schema) == (
        f"the database {own.database!r} is not usable: the table web_pre_aggregated_builds lacks error: "
        "add the columns (dags/clickhouse/schema has their types), or rename it, and have the table made anew: "
        f"{NEXT_STEP}"
    )


@pytest.mark.parametrize("table", ["events", STATS, "web_pre_aggregated_builds"])
def test_a_table_that_was_renamed_away_is_made_anew_as_the_error_says(own: Client, table: str) -> None:
    apply_schema(own, WEB_TABLES)
    before = definitions(own)
    own.command(f"RENAME TABLE {table} TO old_{table}")
    if table == "web_pre_aggregated_builds":
        assert f"the table {table} does not exist" in refusal(own, require_schema)
    else:
        # Of these others may be right: who needs them hears of it, and nobody else.
        unusable = require_schema(own, WEB_TABLES).unusable
        assert unusable.keys() == ({STATS} if table == STATS else {STATS, BOUNCES})
        assert unusable[STATS] == f"the table {table} does not exist: {NEXT_STEP}"
    apply_schema(own, WEB_TABLES)
    require_schema(own)
    found = definitions(own)
    assert found[table] == before[table]
    assert found.keys() == before.keys() | {f"old_{table}"}


@pytest.mark.parametrize("table", ["events", STATS, "web_pre_aggregated_builds", "web_analytics_schema_version"])
def test_a_table_that_is_detached_is_said_to_be_and_is_back_with_its_rows_by_the_words_that_say_so(
    own: Client, table: str
) -> None:
    apply_schema(own, WEB_TABLES)
    insert(own, EVENTS)
    rows = own.query(f"SELECT count() FROM {table}").result_rows
    own.command(f"DETACH TABLE {table}")
    detached = f"the table {table} is detached: nobody can read it, and none can be made in its place. "
    detached += f"It is there as it was once it is attached: ATTACH TABLE {table}"
    assert symptom("is detached: nobody can read it").search(detached)
    whole = f"the database {own.database!r} is not usable: {detached}"
    if table in BOOKS:
        assert refusal(own, require_schema) == whole
    else:
        unusable = require_schema(own, WEB_TABLES).unusable
        assert unusable == dict.fromkeys({STATS} if table == STATS else {STATS, BOUNCES}, detached)
        with pytest.raises(BuildError, match=re.escape(f"nothing was touched: {detached}")):
            require_usable(own, next(one for one in WEB_TABLES if one.name == STATS))
    assert refusal(own, lambda client: apply_schema(client, WEB_TABLES)) == whole
    own.command(whole.rpartition(": ")[2])
    assert apply_schema(own, WEB_TABLES) == ()
    assert own.query(f"SELECT count() FROM {table}").result_rows == rows
    assert not require_schema(own, WEB_TABLES).unusable


def test_a_dictionary_and_a_view_that_are_detached_are_said_to_be(own: Client) -> None:
    apply_schema(own, WEB_TABLES)
    own.command(f"DETACH DICTIONARY {DICTIONARY}")
    assert f"the dictionary {DICTIONARY} is detached: " in refusal(own, require_schema)
    said = refusal(own, lambda client: apply_schema(client, WEB_TABLES))
    own.command(said.rpartition(": ")[2])
    own.command("DETACH TABLE backfill_log")
    require_schema(own, WEB_TABLES)
    said = refusal(own, lambda client: apply_schema(client, WEB_TABLES))
    assert said.endswith("It is there as it was once it is attached: ATTACH TABLE backfill_log")
    own.command(said.rpartition(": ")[2])
    assert apply_schema(own, WEB_TABLES) == ()


def test_a_dictionary_that_is_gone_is_missed_and_made_anew(own: Client) -> None:
    apply_schema(own, WEB_TABLES)
    before = definitions(own)
    own.command(f"DROP DICTIONARY {DICTIONARY}")
    assert DICTIONARY in refusal(own, require_schema)
    apply_schema(own, WEB_TABLES)
    assert definitions(own) == before


# --- Tables that are there already, with rows --------------------------------------------------------------

DAYS = [date(2026, 1, 9), date(2026, 1, 10), date(2026, 1, 11)]
# Three teams; the third has no event that qualifies. Something arrived late on the day in the middle.
EVENTS = [
    *(
        Event(team, at(f"{day} 10:00:00"), "s", inserted_at=at("2026-01-12 00:00:00"))
        for team in (1, 2)
        for day in DAYS
    ),
    Event(1, at("2026-01-10 23:59:59.999999"), "s", "$screen", inserted_at=at("2026-01-13 00:00:00.5")),
    Event(2, at("2026-01-10 12:00:00"), "s", "$autocapture", inserted_at=at("2026-01-12 00:00:00")),
    Event(3, at("2026-01-10 12:00:00"), "", inserted_at=at("2026-01-12 00:00:00")),
]
# What web_preaggregated/activity.sql must say of 2026-01-10: events, those that qualify, the newest arrival.
ACTIVITY = [
    (1, 4, 4, at("2026-01-13 00:00:00.5")),
    (2, 4, 3, at("2026-01-12 00:00:00")),
    (3, 1, 0, at("2026-01-12 00:00:00")),
]
COVERAGE = [(DAYS[1], 1, 2, 2), (DAYS[1], 2, 1, 1), (DAYS[2], 2, 1, 1)]


def fill(client: Client) -> None:
    insert(client, EVENTS)
    for table in (STATS, BOUNCES):
        client.command(
            f"INSERT INTO {table} (period_bucket, team_id, host, device_type, entry_pathname, pageviews_count_state) "
            "SELECT toDateTime(day, 'UTC') + 3600, team, 'h', '', path, sumState(toUInt64(1)) FROM values("
            "'day Date, team UInt64, path String', ('2026-01-10', 1, '/a'), ('2026-01-10', 1, '/b'), "
            "('2026-01-10', 2, '/a'), ('2026-01-11', 2, '/a')) GROUP BY day, team, path"
        )


def activity(client: Client, **settings: object) -> list[tuple[object, ...]]:
    """The fingerprints by team."""
    bound = {"day": DAYS[1], "reach": 1, "teams": [1, 2, 3]}
    identifiers = {"source": "events", "team": "team_id", "day": SOURCE.day}
    identifiers |= {"expected": SOURCE.expected, "newest": SOURCE.newest}
    rows = Sql("dags.publish", client, settings=settings).rows("activity", bound, **identifiers)
    return sorted(tuple(row[:-1]) for row in rows)


def coverage(client: Client, table: str, **settings: object) -> list[tuple[object, ...]]:
    """Who is there by day and team, asked as detection asks it."""
    rows = client.query(
        f"SELECT toDate(period_bucket) AS day, team_id, count(), sumMerge(pageviews_count_state) FROM {table} "
        "WHERE toDate(period_bucket) >= '2026-01-01' AND toDate(period_bucket) < '2026-02-01' "
        "GROUP BY day, team_id ORDER BY day, team_id SETTINGS optimize_time_filter_with_preimage = 0",
        settings=settings,
    )
    return [tuple(row) for row in rows.result_rows]


FORCED: dict[str, object] = {"force_optimize_projection_name": "coverage"}
UNUSED: dict[str, object] = {"optimize_use_projections": 0}


def wait_for_mutations(client: Client) -> None:
    """The projection of old parts is made in the background."""
    for _ in range(600):
        pending = client.query(
            "SELECT table, command, latest_fail_reason FROM system.mutations "
            "WHERE database = currentDatabase() AND NOT is_done"
        ).result_rows
        if not pending:
            return
        time.sleep(0.1)
    pytest.fail(f"not done after a minute: {pending}")


def parts_without_coverage(client: Client) -> list[tuple[object, ...]]:
    rows = client.query(
        "SELECT table, name FROM system.parts WHERE database = currentDatabase() AND active "
        f"AND table IN ('events', '{STATS}', '{BOUNCES}') AND NOT has(projections, 'coverage')"
    )
    return [tuple(row) for row in rows.result_rows]


def make_all_by_hand(client: Client) -> None:
    """The three tables as the contract has them, made and filled by hand."""
    for table in BY_HAND:
        make_by_hand(client, table)
    fill(client)


@pytest.fixture
def by_hand(own: Client) -> Client:
    make_all_by_hand(own)
    return own


def test_tables_made_by_hand_have_no_projection_before(by_hand: Client) -> None:
    # That the projection is forced below proves something only if it can fail.
    assert len(parts_without_coverage(by_hand)) == 7
    with pytest.raises(DatabaseError, match=re.escape("coverage")):
        coverage(by_hand, STATS, **FORCED)


def test_tables_made_by_hand_keep_their_rows_and_get_the_projection_which_is_then_used(by_hand: Client) -> None:
    events = by_hand.query("SELECT * FROM events ORDER BY ALL").result_rows
    assert len(events) == len(EVENTS)
    assert apply_schema(by_hand, WEB_TABLES) == migrations()
    require_schema(by_hand)
    wait_for_mutations(by_hand)
    assert by_hand.query("SELECT * EXCEPT load_id FROM events ORDER BY ALL").result_rows == events
    assert activity(by_hand, **FORCED) == activity(by_hand, **UNUSED) == ACTIVITY
    for table in (STATS, BOUNCES):
        assert coverage(by_hand, table, **FORCED) == coverage(by_hand, table, **UNUSED) == COVERAGE
    assert parts_without_coverage(by_hand) == []


def test_rows_that_arrive_afterwards_are_covered_too(by_hand: Client) -> None:
    apply_schema(by_hand, WEB_TABLES)
    wait_for_mutations(by_hand)
    insert(by_hand, [Event(3, at("2026-01-11 10:00:00"), "s", inserted_at=at("2026-01-12 00:00:00"))])
    expected = [*ACTIVITY[:2], (3, 2, 1, at("2026-01-12 00:00:00"))]
    assert activity(by_hand, **FORCED) == activity(by_hand, **UNUSED) == expected
    assert parts_without_coverage(by_hand) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_until_old_parts_are_covered_nobody_waits_and_the_answer_is_right_all_the_same(
    engine_dsn: Callable[[str], str], engine: str
) -> None:
    with own_database(engine_dsn(engine)) as (text, client), open_client(Dsn.parse(text), wait_seconds=60) as other:

        def background_work(do: str) -> None:
            for table in BY_HAND:
                other.command(f"SYSTEM {do} MERGES {table}")

        make_all_by_hand(client)
        background_work("STOP")
        # An apply that waits for background work would wait for ever.
        rescue = threading.Timer(20, background_work, ["START"])
        rescue.start()
        try:
            apply_schema(client, WEB_TABLES)
        finally:
            rescue.cancel()
        assert len(parts_without_coverage(client)) == 7
        assert activity(client) == ACTIVITY
        for table in (STATS, BOUNCES):
            assert coverage(client, table) == COVERAGE


@pytest.mark.parametrize("made", ["by us", "by hand"])
def test_rows_can_be_deleted_by_hand_and_the_projection_follows(own: Client, made: str) -> None:
    if made == "by us":
        apply_schema(own, WEB_TABLES)
        fill(own)
    else:
        make_all_by_hand(own)
        apply_schema(own, WEB_TABLES)
        wait_for_mutations(own)
    assert activity(own, **FORCED) == ACTIVITY
    for table in BY_HAND:
        # Refused with code 344 where a table has a projection and not the settings that go with it.
        own.command(f"DELETE FROM {table} WHERE team_id = 1")
    assert activity(own, **FORCED) == activity(own, **UNUSED) == ACTIVITY[1:]
    for table in (STATS, BOUNCES):
        assert coverage(own, table, **FORCED) == coverage(own, table, **UNUSED) == COVERAGE[1:]


def test_merging_keeps_the_projection_true(own: Client) -> None:
    apply_schema(own, WEB_TABLES)
    fill(own)
    fill(own)
    for table in BY_HAND:
        own.command(f"OPTIMIZE TABLE {table} FINAL")
    doubled = [(team, 2 * events, 2 * qualifying, newest) for team, events, qualifying, newest in ACTIVITY]
    assert activity(own, **FORCED) == activity(own, **UNUSED) == doubled
    for table in (STATS, BOUNCES):
        # Rows of the same key are one row now, and hold the page views of both.
        merged = [(day, team, rows, 2 * pageviews) for day, team, rows, pageviews in COVERAGE]
        assert coverage(own, table, **FORCED) == coverage(own, table, **UNUSED) == merged
