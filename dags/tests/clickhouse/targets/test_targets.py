"""A table in the place of a target that is no target: each is refused by name, by everything that would touch it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from dagster import AssetKey, Failure

from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.sql import is_embedded
from dags.clickhouse.targets.store import read_usability
from dags.detection.store import detect
from dags.domain.clock import utc_now
from dags.domain.errors import BuildError, SchemaError, UserError
from dags.publish.batches import build_limits
from dags.publish.build import DayBuild
from dags.publish.contents import read_comparison
from dags.publish.moments import Moment, Swap
from dags.publish.restore import DayRestore
from dags.tests.builds import AtSwap
from dags.tests.clickhouse.schema import own_database
from dags.tests.conftest import ENGINES
from dags.tests.fold import fold, stored
from dags.tests.managed_backfill import asked
from dags.tests.runbook import symptom
from dags.tests.variants import embedded_at_night
from dags.tests.world import BOUNCES, STATS, World, ago, new_world
from dags.web_preaggregated.tables import STATS as STATS_TABLE
from dags.web_preaggregated.tables import WEB_TABLES
from dags.web_preaggregated_backfill.report import table_statuses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

    from dags.tests.events import Event

# On one worker, so that the days are built once for each engine.
pytestmark = pytest.mark.xdist_group("targets")

DAYS = [ago(n) for n in (5, 4, 3)]
KEPT = "kept_stats"


@dataclass(frozen=True)
class Wrong:
    """How a wrong table is put in the place of the stats table, which is kept aside; and what must be said of it."""

    statements: tuple[str, ...]
    shown: str
    # The embedded engine knows no cluster.
    on_a_server_only: bool = False


def _in_its_place(definition: str) -> tuple[str, ...]:
    return (f"RENAME TABLE {STATS} TO {KEPT}", definition)


def _like(engine: str) -> tuple[str, ...]:
    return _in_its_place(f"CREATE TABLE {STATS} AS {KEPT} ENGINE = {engine}")


def _altered(change: str) -> tuple[str, ...]:
    """A copy that is altered, so that the table that is kept stays as it is."""
    return (*_in_its_place(f"CREATE TABLE {STATS} AS {KEPT}"), f"ALTER TABLE {STATS} {change}")


def _merge_tree(engine: str, *, partition: str = "PARTITION BY toYYYYMMDD(period_bucket)", key: str) -> tuple[str, ...]:
    return _like(
        f"{engine} {partition} ORDER BY ({key}) SETTINGS deduplicate_merge_projection_mode = 'rebuild'"
        + ", allow_dimensions_outside_sorting_key = 1" * (engine == A)
    )


KEY = (
    "team_id, period_bucket, host, device_type, pathname, entry_pathname, end_pathname, browser, os, viewport_width, "
    "viewport_height, referring_domain, utm_source, utm_medium, utm_campaign, utm_term, utm_content, country_code, "
    "city_name, region_code, region_name, has_gclid, has_gad_source_paid_search, has_fbclid"
)
A = "AggregatingMergeTree"

WRONG = {
    "a Distributed": Wrong(
        _like(f"Distributed('one_shard', currentDatabase(), '{KEPT}')"), "is a Distributed", on_a_server_only=True
    ),
    "a Merge": Wrong(_like(f"Merge(currentDatabase(), '^{KEPT}$')"), "is a Merge"),
    "a Buffer": Wrong(_like(f"Buffer(currentDatabase(), '{KEPT}', 1, 1, 1, 1, 1, 1, 1)"), "is a Buffer"),
    "a view": Wrong(_in_its_place(f"CREATE VIEW {STATS} AS SELECT * FROM {KEPT}"), "is a View"),
    "a materialized view": Wrong(
        _in_its_place(f"CREATE MATERIALIZED VIEW {STATS} ENGINE = {A} ORDER BY ({KEY}) AS SELECT * FROM {KEPT}"),
        "is a MaterializedView",
    ),
    "a Log": Wrong(_like("Log"), "is a Log"),
    "a Memory": Wrong(_like("Memory"), "is a Memory"),
    "a Null": Wrong(_like("Null"), "is a Null"),
    "a Replacing": Wrong(_merge_tree("ReplacingMergeTree", key=KEY), "is a ReplacingMergeTree"),
    "a Summing": Wrong(_merge_tree("SummingMergeTree", key=KEY), "is a SummingMergeTree"),
    "by month": Wrong(_merge_tree(A, partition="PARTITION BY toYYYYMM(period_bucket)", key=KEY), "toYYYYMM(period_b"),
    "by nothing": Wrong(_merge_tree(A, partition="PARTITION BY tuple()", key=KEY), "is partitioned by tuple()"),
    "by team": Wrong(
        _merge_tree(A, partition="PARTITION BY (team_id, toYYYYMMDD(period_bucket))", key=KEY),
        "partitioned by (team",
    ),
    "a short key": Wrong(_merge_tree(A, key=KEY.replace(" pathname,", "", 1)), "lacks pathname: rows that differ"),
    "a TTL": Wrong(_altered("MODIFY TTL period_bucket + INTERVAL 10 YEAR"), "a TTL that deletes rows"),
    "a column's TTL": Wrong(
        _altered("MODIFY COLUMN persons_uniq_state AggregateFunction(uniq, UUID) TTL period_bucket + INTERVAL 10 YEAR"),
        "the columns persons_uniq_state",
    ),
    "read only": Wrong(_altered("MODIFY SETTING table_readonly = 1"), "table_readonly"),
    "a column less": Wrong(
        (*_altered("DROP PROJECTION coverage"), f"ALTER TABLE {STATS} DROP COLUMN pageviews_count_state"),
        "lacks pageviews_count_state",
    ),
    "another type": Wrong(
        (
            *_in_its_place(f"CREATE TABLE {STATS} AS {KEPT}"),
            f"ALTER TABLE {STATS} DROP COLUMN sessions_uniq_state",
            f"ALTER TABLE {STATS} ADD COLUMN sessions_uniq_state AggregateFunction(uniq, UInt64)",
        ),
        "sessions_uniq_state is AggregateFunction(uniq, UInt64) instead of AggregateFunction(uniq, String)",
    ),
    "written by a view": Wrong(
        (
            *_in_its_place(f"CREATE TABLE {STATS} AS {KEPT}"),
            f"CREATE MATERIALIZED VIEW foreign_writer TO {STATS} AS SELECT * FROM {KEPT}",
        ),
        "foreign_writer write into",
    ),
    "written by a Buffer": Wrong(
        (
            *_in_its_place(f"CREATE TABLE {STATS} AS {KEPT}"),
            f"CREATE TABLE foreign_writer AS {KEPT} ENGINE = Buffer(currentDatabase(), {STATS}, 1, 1, 1, 1, 1, 1, 1)",
        ),
        "foreign_writer write into",
    ),
    "dropped": Wrong((f"RENAME TABLE {STATS} TO {KEPT}",), "does not exist"),
}


# What the runbook has of these words.
SEEN = {
    "is a Distributed": symptom("the table … is a Distributed"),
    "a TTL that deletes rows": symptom("… has a TTL that deletes rows"),
}

TEAMS = (1, 2)

# The whole way costs a second each; the judgement alone, which all of it asks, some milliseconds.
THROUGHOUT = ("a Distributed", "a view", "dropped")


@dataclass
class Shop:
    """Three days of two teams, built, and one of them rebuilt by a managed backfill that can be rolled back."""

    world: World
    events: list[Event]
    backfill_id: str = ""
    messages: list[str] = field(default_factory=list)

    @property
    def client(self) -> Client:
        return self.world.client

    def build(self, *tables: str, **options: Any) -> Any:
        return DayBuild(
            client=self.client,
            day=DAYS[0],
            teams_by_table=dict.fromkeys(tables or (STATS, BOUNCES), TEAMS),
            tables=WEB_TABLES,
            run_id="by-hand",
            limits=build_limits(self.world.settings),
            progress=self.messages.append,
            sleep=lambda _: None,
            **options,
        ).run()

    def managed(self, **given: Any) -> Any:
        span = {"start_date": str(DAYS[1]), "end_date": str(DAYS[1]), "dry_run": False, **given}
        return self.world.run_as_configured("managed_backfill_job", asked(**span)).output_for_node("managed_backfill")

    def roll_back(self, backfill_id: str) -> Any:
        given = {"backfill_id": backfill_id, "requested_by": "bob", "reason": "because"}
        return self.world.run_as_configured("rollback_backfill_job", given).output_for_node("rollback_backfill")

    def restore(self, backup: str) -> int:
        by = read_comparison(self.client, backup, backup)
        return DayRestore(self.client, DAYS[0], STATS_TABLE, TEAMS, backup, by, "by-hand").run()

    def detected(self) -> Any:
        return detect(
            self.client, utc_now(), WEB_TABLES, lookback_days=6, settle=self.world.settings.settle, records=False
        )

    def holds_its_source(self, table: str) -> bool:
        assert all(stored(self.client, table, day) for day in DAYS)
        return all(stored(self.client, table, day) == fold(self.events, day, table) for day in DAYS)

    def contents(self) -> dict[str, bytes]:
        """Every table by name; of those that nothing may touch the bytes of their rows."""
        found = {name: b"" for (name,) in self.client.query("SHOW TABLES").result_rows}
        for name in {KEPT, "events"} & found.keys():
            found[name] = self.client.raw_query(f"SELECT * FROM {name} SETTINGS max_threads = 1", fmt="RowBinary")
        assert len(found[KEPT]) > 100
        return found

    @contextmanager
    def placed(self, wrong: Wrong) -> Iterator[None]:
        """With a wrong table in the place of the stats table."""
        try:
            for one in wrong.statements:
                self.client.command(one)
            yield
        finally:
            self.client.command("DROP TABLE IF EXISTS foreign_writer SYNC")
            self.client.command(f"DROP TABLE IF EXISTS {STATS} SYNC")
            self.client.command(f"RENAME TABLE {KEPT} TO {STATS}")


@pytest.fixture(scope="module", params=ENGINES)
def shop(request: pytest.FixtureRequest, engine_dsn: Callable[[str], str]) -> Iterator[Shop]:
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        own_database(engine_dsn(request.param)) as (text, own),
    ):
        apply_schema(own, WEB_TABLES)
        with new_world(text, monkeypatch) as world:
            events = world.traffic(TEAMS, DAYS)
            world.select(*TEAMS)
            world.built(*DAYS)
            made = Shop(world, events)
            made.backfill_id = made.managed()["backfill_id"]
            yield made


@pytest.fixture
def wrong(request: pytest.FixtureRequest, shop: Shop) -> Wrong:
    chosen = WRONG[request.param]
    if chosen.on_a_server_only and is_embedded(shop.client):
        pytest.skip("the embedded engine knows no cluster")
    return chosen


def refusal(act: Callable[[], object], *kinds: type[Exception]) -> str:
    with pytest.raises(kinds) as refused:
        act()
    return str(refused.value)


@pytest.mark.parametrize("wrong", WRONG, indirect=True)
@embedded_at_night
def test_whatever_is_no_target_is_refused_by_name_and_the_other_table_is_not(shop: Shop, wrong: Wrong) -> None:
    with shop.placed(wrong):
        before = shop.client.query("SHOW TABLES").result_rows
        unusable = read_usability(shop.client, WEB_TABLES).unusable
        assert unusable.keys() == {STATS}
        assert STATS in unusable[STATS]
        assert wrong.shown in unusable[STATS]
        if pattern := SEEN.get(wrong.shown):
            assert pattern.search(unusable[STATS])
        if wrong is not WRONG["dropped"]:  # which the job makes anew
            assert wrong.shown in refusal(lambda: apply_schema(shop.client, WEB_TABLES), SchemaError)
        assert shop.client.query("SHOW TABLES").result_rows == before


@pytest.mark.story
@pytest.mark.parametrize("wrong", THROUGHOUT, indirect=True)
@embedded_at_night
def test_nothing_touches_what_is_no_target_and_the_other_table_is_built(shop: Shop, wrong: Wrong) -> None:
    with shop.placed(wrong):
        before = shop.contents()
        found = shop.detected()
        assert wrong.shown in found.unknown[STATS]
        assert found.unknown.keys() == {STATS}
        assert (found.complete_by_table, list(found.wrong)) == ({BOUNCES: len(TEAMS) * len(DAYS)}, [])
        built = shop.build()
        assert [(one.table, one.is_published) for one in built.tables] == [(BOUNCES, True)]
        assert [wrong.shown in problem for problem in built.problems] == [True]
        assert wrong.shown in refusal(lambda: shop.build(STATS), BuildError)
        assert wrong.shown in refusal(lambda: shop.managed(dry_run=True), UserError, Failure)
        assert wrong.shown in refusal(lambda: shop.roll_back(shop.backfill_id), UserError, Failure)
        assert wrong.shown in refusal(lambda: shop.restore(KEPT), BuildError)
        assert shop.contents() == before
    assert shop.holds_its_source(STATS)
    assert shop.holds_its_source(BOUNCES)


# --- What is one, though it is not as we would have made it -----------------------------------------------------


@pytest.mark.story
@embedded_at_night
def test_columns_too_many_are_no_matter_to_a_build_a_backfill_or_a_rollback(shop: Shop) -> None:
    more = ("plain String", "given Int64 DEFAULT 7", "derived String MATERIALIZED upper(host)")
    try:
        for column in more:
            shop.client.command(f"ALTER TABLE {STATS} ADD COLUMN {column}")
        assert shop.build().problems == ()
        assert shop.holds_its_source(STATS)
        before = stored(shop.client, STATS, DAYS[1])
        rebuilt = shop.managed(kind="point_in_time_correction", team_ids=[1])
        assert (rebuilt["status"], shop.holds_its_source(STATS)) == ("completed", True)
        assert shop.roll_back(rebuilt["backfill_id"])["status"] == "rolled back"
        assert stored(shop.client, STATS, DAYS[1]) == before
        assert apply_schema(shop.client, WEB_TABLES) == ()
    finally:
        for column in reversed(more):
            name = column.partition(" ")[0]
            shop.client.command(f"ALTER TABLE {STATS} DROP COLUMN IF EXISTS {name} SETTINGS mutations_sync = 2")


# --- While a build is at it -------------------------------------------------------------------------------------


@pytest.mark.story
def test_a_table_that_is_altered_in_the_middle_keeps_its_rows_and_the_next_build_takes_it_in(shop: Shop) -> None:
    def alter(step: Moment) -> None:
        if step is Moment.STAGED:
            shop.client.command(f"ALTER TABLE {STATS} ADD COLUMN extra String")

    try:
        [problem] = shop.build(STATS, at=alter).problems
        assert symptom("… was altered while its day was being built").search(problem)
        assert shop.messages[-1].endswith(f"{STATS}: nothing published, readers see their old rows: 2 teams failed")
        assert shop.holds_its_source(STATS)
        assert shop.build(STATS).problems == ()
    finally:
        shop.client.command(f"ALTER TABLE {STATS} DROP COLUMN IF EXISTS extra SETTINGS mutations_sync = 2")
    assert shop.holds_its_source(STATS)


@pytest.mark.story
@pytest.mark.parametrize("moment", ["before the swap", "staged"])
def test_a_table_that_another_one_was_put_in_the_place_of_is_not_published_into(shop: Shop, moment: str) -> None:
    shop.client.command(f"CREATE TABLE {KEPT} AS {STATS}")
    for day in DAYS:
        shop.client.command(f"ALTER TABLE {KEPT} ATTACH PARTITION {day:%Y%m%d} FROM {STATS}")

    def exchange(reached: object) -> None:
        if reached is Moment.STAGED or isinstance(reached, Swap):
            shop.client.command(f"EXCHANGE TABLES {KEPT} AND {STATS}")

    hooks: dict[str, Any] = {"at": exchange} if moment == "staged" else {"checkpoint": AtSwap(exchange)}
    try:
        before = shop.contents()
        [problem] = shop.build(STATS, **hooks).problems
        assert symptom("another table was put in its place").search(problem)
        assert shop.contents() == before
        assert shop.build(STATS).problems == ()
    finally:
        shop.client.command(f"DROP TABLE {KEPT} SYNC")
    assert shop.holds_its_source(STATS)


# --- What is only read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "engine",
    ["Merge(currentDatabase(), '^local_events$')", "Distributed('one_shard', currentDatabase(), 'local_events')"],
    ids=["a Merge", "a Distributed"],
)
def test_a_source_may_be_spread_over_other_tables(shop: Shop, engine: str) -> None:
    if engine.startswith("Distributed") and is_embedded(shop.client):
        pytest.skip("the embedded engine knows no cluster")
    try:
        shop.client.command("RENAME TABLE events TO local_events")
        shop.client.command(f"CREATE TABLE events AS local_events ENGINE = {engine}")
        assert apply_schema(shop.client, WEB_TABLES) == ()
        found = shop.detected()
        assert (found.unknown, list(found.wrong)) == ({}, [])
        shop.client.command(f"ALTER TABLE {STATS} DROP PARTITION {DAYS[0]:%Y%m%d}")
        assert {(v.unit.table, v.unit.day) for v in shop.detected().wrong} == {(STATS, DAYS[0])}
        assert shop.build().problems == ()
        assert shop.holds_its_source(STATS)
    finally:
        shop.client.command("DROP TABLE IF EXISTS events SYNC")
        shop.client.command("RENAME TABLE local_events TO events")


def test_a_source_that_keeps_nothing_counts_other_days_or_has_no_key_is_refused_for_both_tables(shop: Shop) -> None:
    try:
        shop.client.command("RENAME TABLE events TO local_events")
        shop.client.command("CREATE TABLE events AS local_events ENGINE = Null")
        found = shop.detected()
        assert found.unknown.keys() == {STATS, BOUNCES}
        assert "the table events is a Null: it keeps nothing" in found.unknown[STATS]
        assert "the table events is a Null" in refusal(shop.build, BuildError)
        shop.client.command("DROP TABLE events SYNC")
        shop.client.command(
            "CREATE VIEW events AS SELECT * REPLACE (toTimeZone(timestamp, 'Asia/Tokyo') AS timestamp), "
            "qualifies FROM local_events"
        )
        assert "in the time zone Asia/Tokyo: its days would not be UTC days" in shop.detected().unknown[BOUNCES]
        shop.client.command("DROP VIEW events SYNC")
        shop.client.command(
            "CREATE VIEW events AS SELECT * REPLACE (nullIf(session_id, '') AS session_id), qualifies FROM local_events"
        )
        expected = "the column session_id of events is Nullable(String)"
        assert expected in shop.detected().unknown[STATS]
        assert expected in refusal(shop.build, BuildError)
    finally:
        shop.client.command("DROP TABLE IF EXISTS events SYNC")
        shop.client.command("RENAME TABLE local_events TO events")


def test_a_view_that_copies_what_is_inserted_is_told_of_and_keeps_nobody_from_building(shop: Shop) -> None:
    try:
        shop.client.command(
            f"CREATE MATERIALIZED VIEW copies ENGINE = MergeTree ORDER BY team_id AS SELECT team_id FROM {STATS}"
        )
        found = shop.detected()
        assert (found.unknown, list(found.wrong)) == ({}, [])
        assert [f"copies read {STATS}" in warning for warning in found.warnings] == [True]
        assert symptom("they never hear of a build").search(found.warnings[0])
        assert shop.build().problems == ()
        assert shop.client.query("SELECT count() FROM copies").result_rows == [(0,)]
    finally:
        shop.client.command("DROP TABLE IF EXISTS copies SYNC")


@pytest.mark.story
def test_what_fails_in_one_table_fails_no_team_of_the_other(shop: Shop) -> None:
    try:
        shop.client.command(f"ALTER TABLE {STATS} ADD CONSTRAINT only_the_first CHECK team_id = 1")
        [problem] = shop.build().problems
        assert f"{STATS} of {DAYS[0]}: 1 of 2 teams could not be built, readers see their old rows. Team 2:" in problem
        assert "only_the_first" in problem
        assert [words for words in shop.messages if "published" in words][-2:] == [
            f"{DAYS[0]}: {BOUNCES} published, {len(stored(shop.client, BOUNCES, DAYS[0]))} rows",
            f"{DAYS[0]}: {STATS} published, {len(stored(shop.client, STATS, DAYS[0]))} rows; 1 team failed",
        ]
    finally:
        shop.client.command(f"ALTER TABLE {STATS} DROP CONSTRAINT only_the_first")
    assert shop.holds_its_source(STATS)


@pytest.mark.story
def test_a_run_a_check_and_an_adoption_name_the_table_and_do_the_rest(shop: Shop) -> None:
    world = shop.world
    with shop.placed(WRONG["a view"]):
        day = DAYS[2].isoformat()
        run = world.loop.run("web_pre_aggregate_job", partition_key=day, raise_on_error=False)
        assert not run.success
        assert [event.asset_key for event in run.get_asset_materialization_events()] == [AssetKey(BOUNCES)]
        statuses = {one.table: one for one in table_statuses(shop.detected())}
        assert (statuses[STATS].is_complete, statuses[BOUNCES].is_complete) == (False, True)
        assert statuses[STATS].words.startswith(f"unknown: the table {STATS} is a View: it holds no rows")
        words = refusal(lambda: world.run_as_configured("report_existing_days_job"), UserError, Failure)
        assert f"nothing was reported of {STATS}: the table {STATS} is a View" in words
        known = world.instance.get_materialized_partitions(AssetKey(BOUNCES))
        assert known >= {one.isoformat() for one in DAYS}
    assert shop.holds_its_source(BOUNCES)
