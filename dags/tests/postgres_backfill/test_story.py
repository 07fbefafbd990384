"""A tenant's history arrives from PostgreSQL, is found, repaired and seen; and every request ends as what it said."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from dagster import Failure

from dags.domain.errors import UserError
from dags.postgres_backfill import compiling, execution, reading
from dags.postgres_backfill.execution import LandingRanges
from dags.postgres_backfill.kind import POSTGRES_BACKFILL
from dags.sources.loads.landing import all_landed
from dags.sources.loads.staging import Staging
from dags.sources.loads.sweeping import sweep_landings
from dags.tests.listening import listening
from dags.tests.postgres_backfill.tenants import (
    DAYS,
    DECLARED,
    Tenant,
    die_with_a_day_attached,
    load,
    loaded,
    of,
    queue,
    tenant,
)
from dags.tests.runbook import cure, symptom
from dags.tests.variants import at_night, embedded_at_night, server_at_night, variants
from dags.tests.world import STATS, World, ago, noon
from dags.work import control
from dags.work.audit.log import FINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dags.sources.loads.verdicts import Group
    from dags.tests.postgres_server import PostgresServer
    from dags.work.runner import AtWork


# What is decided before anything lands, or by PostgreSQL alone, is so whichever engine reads it.
on_one_engine = pytest.mark.parametrize("dsn_text", ["embedded"], indirect=True)


@pytest.fixture
def source(world: World, postgres_database: str, tmp_path: Path) -> Iterator[Tenant]:
    with tenant(world, postgres_database, tmp_path) as made:
        yield made


@pytest.mark.long
@embedded_at_night
def test_history_arrives_the_detector_says_so_the_sensor_repairs_it_and_readers_see_it(
    world: World, source: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    days = [ago(number) for number in range(4, 1, -1)]
    world.set(backfill_lookback_days=4)
    world.select(1, 2)
    world.traffic((2,), days)
    world.build(*days)
    assert wrong(world) == 0
    source.history(days, tenants=(1,))
    report = load(world, filter_sql="tenant_id = 1")
    assert report["status"] == "completed"
    assert report["rows_by_day"] == {str(day): 3 for day in days}
    assert "ATTACHED 9 rows" in capsys.readouterr().out
    assert sorted(loaded(world)) == sorted(source.rows())
    assert wrong(world) == 6  # two tables, three days, of the one team: missing
    world.run_as_configured("why_job", {"day": str(days[0])})
    said = " ".join(capsys.readouterr().out.split())
    assert "3 rows of tenant-import public.page_views came in" in said
    assert "by ada: the queue lost a week" in said
    world.carry_out(world.tick())
    assert wrong(world) == 0
    assert seen(world) == [(1, 9), (2, 6)]
    # What comes later still is growth of what is there already, and is the comprehensive check's.
    source.history(days[:1], tenants=(2,), views=1)
    load(world, kind="incremental")
    assert wrong(world) == 2
    world.carry_out(world.check())
    assert (wrong(world), seen(world)) == (0, [(1, 9), (2, 7)])
    assert all_landed(world.client) == []


def seen(world: World) -> list[Any]:
    """Page views by team, as readers of the table see them."""
    rows = world.client.query(f"SELECT team_id, sumMerge(pageviews_count_state) FROM {STATS} GROUP BY 1 ORDER BY 1")
    return [tuple(row) for row in rows.result_rows]


def wrong(world: World) -> int:
    """How many units the detector calls missing or wrong."""
    return int(world.missing_data()["wrong_units"])


@server_at_night
def test_a_dry_run_shows_the_statement_the_mapping_and_the_first_rows_and_writes_nothing(
    world: World, source: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    source.add([(1, "-infinity", "s"), (1, "20000-01-01T00:00:00Z", "s")])
    source.history(DAYS)
    before = tables(world)
    world.client.command("ALTER TABLE events MODIFY COLUMN gclid DEFAULT concat('from ', host)")
    try:
        load(world, dry_run=True, filter_sql="path LIKE '/%'")
    finally:
        world.client.command("ALTER TABLE events MODIFY COLUMN gclid REMOVE DEFAULT")
    said = capsys.readouterr().out
    [empty] = re.findall(r"EMPTY    ((?:.|\n)*?)DEFAULT  gclid = concat\('from ', host\); as events has it\n", said)
    assert ("fbclid" in empty, "gclid" in empty) == (True, False)
    for words in (
        "SELECT",
        'FROM "public"."page_views" WHERE',
        "\"path\" LIKE E'/%'",
        "about 11 (counted)",
        "timestamp=-infinity,",
        "timestamp=568971820800000000,",
        "tenant_id",
        "NOTE     ",
    ):
        assert words in said
    assert f"timestamp={DAYS[0]} 12:00:00 UTC, session_id=pg-{DAYS[0]}" in said
    assert (tables(world), queue(world), loaded(world)) == (before, [], [])


def tables(world: World) -> list[Any]:
    text = "SELECT name, total_rows FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    return [tuple(row) for row in world.client.query(text).result_rows]


@pytest.mark.parametrize("parallelism", variants(3, 1))
@server_at_night
def test_what_lands_is_what_the_filter_selects_in_batches_of_any_size(
    world: World, source: Tenant, parallelism: int
) -> None:
    source.history(DAYS, tenants=range(1, 5), views=40)
    source.connection.execute("DELETE FROM page_views WHERE id % 7 = 0")
    filters = [
        {"column": "tenant_id", "operator": ">", "value": 1},
        {"column": "session", "operator": "!=", "value": f"pg-{DAYS[0]}"},
    ]
    first = load(world, filters=filters, batch_size=7, parallelism=parallelism)
    wanted = source.rows(f"tenant_id > 1 AND session <> 'pg-{DAYS[0]}'")
    assert sorted(loaded(world)) == sorted(wanted)
    assert first["filter_sql"] == f"tenant_id > '1'; session != 'pg-{DAYS[0]}'"
    [row] = queue(world)
    shown = {name: row[name] for name in ("pipeline", "source", "table_name", "filter_sql", "status", "count_record")}
    assert shown == {
        "pipeline": "tenant-import",
        "source": "table",
        "table_name": "public.page_views",
        "filter_sql": first["filter_sql"],
        "status": "COMPLETED",
        "count_record": len(wanted),
    }
    # Asked for again, in the other form, it is a load of its own: nothing is there that was not, under the same ids.
    load(world, filter_sql=first["filter_sql"], batch_size=1000)
    assert set(loaded(world)) == wanted


@server_at_night
def test_a_declared_query_joins_and_is_loaded_by_the_ids_of_its_events(world: World, source: Tenant) -> None:
    source.history(DAYS, tenants=(1, 2))
    report = load(world, table_name="late_orders", batch_size=2)
    assert report["status"] == "completed"
    assert sorted(loaded(world)) == sorted(source.rows("tenant_id = 1"))
    assert queue(world)[0]["source"] == "query"


@server_at_night
def test_one_row_that_can_be_no_event_keeps_all_of_them_out_and_is_named(world: World, source: Tenant) -> None:
    source.history(DAYS)
    [bad] = source.add([(None, noon(DAYS[0]), "s")])
    [endless] = source.add([(1, "infinity", "s")])
    report = load(world, raise_on_error=False)
    assert report == {}
    assert loaded(world) == []
    [row] = queue(world)
    assert row["status"] == "FAILED"
    shown = show(world, row["id"])
    assert symptom("rows of it may not be seen, so none is").search(shown["outcome_words"])
    assert f"1 row: team_id is absent (key {bad})" in shown["outcome_words"]
    assert f"1 row: timestamp is infinite (key {endless})" in shown["outcome_words"]
    load(world, filter_sql="tenant_id IS NOT NULL; happened_at < 'infinity'")
    assert len(loaded(world)) == 9


def show(world: World, work_id: str) -> dict[str, Any]:
    result = world.run_as_configured("show_postgres_backfills_job", {"postgres_backfill_id": work_id})
    shown: dict[str, Any] = result.output_for_node("show_postgres_backfills")
    return shown


def asks_after(world: World, batches: int, act: Callable[..., str]) -> None:
    """While a load is at work, a person asks it to stop when so many batches have landed."""
    landed, left = LandingRanges._land, iter(range(batches - 1))

    def landing(self: LandingRanges, at: AtWork, *rest: Any) -> int:
        rows = landed(self, at, *rest)
        if next(left, None) is None:
            who = {"requested_by": "bob", "reason": "it is late"}
            assert act(world.client, POSTGRES_BACKFILL, at.log.work.work_id, "by-hand", **who).startswith("ASKED")
        return rows

    world.monkeypatch.setattr(LandingRanges, "_land", landing)


def control_job(world: World, verb: str, work_id: str) -> None:
    world.run_as_configured(f"{verb}_postgres_backfill_job", of(work_id))


@server_at_night
def test_a_pause_is_heard_between_two_batches_and_a_resume_goes_on_from_there(world: World, source: Tenant) -> None:
    source.history(DAYS)
    with world.monkeypatch.context() as patched:
        patched.setattr(world, "monkeypatch", patched)
        asks_after(world, 2, control.pause)
        report = load(world, batch_size=2)
    assert (report["status"], report["ranges_done"], loaded(world)) == ("paused", 0, [])
    assert queue(world)[0]["status"] == "PENDING"
    read = reads(world)
    control_job(world, "resume", queue(world)[0]["id"])
    assert sorted(loaded(world)) == sorted(source.rows())
    assert len(read) == 3  # of nine rows four had landed, two a batch; not one is read again
    [row] = queue(world)
    assert (row["status"], row["count_record"]) == ("COMPLETED", 9)


def reads(world: World) -> list[str]:
    """From now on, the last key of each batch that is read."""
    landed, read = LandingRanges._land, list[str]()

    def landing(self: LandingRanges, at: AtWork, chunk: Any, batch: int, *rest: Any) -> int:
        read.append(rest[0][1])
        return landed(self, at, chunk, batch, *rest)

    world.monkeypatch.setattr(LandingRanges, "_land", landing)
    return read


@embedded_at_night
def test_a_cancel_ends_with_the_batch_in_work_and_no_row_is_ever_seen(world: World, source: Tenant) -> None:
    source.history(DAYS)
    read = reads(world)
    asks_after(world, 2, control.cancel)
    report = load(world, batch_size=2)
    assert (report["status"], loaded(world), len(read)) == ("cancelled", [], 2)
    assert all_landed(world.client) == []
    [row] = queue(world)
    assert (row["status"], row["count_record"]) == ("CANCELLED", 4)
    with pytest.raises(UserError, match="is cancelled: only one that is not over can be resumed"):
        control_job(world, "resume", row["id"])
    control_job(world, "delete", row["id"])
    assert queue(world) == []
    assert show(world, row["id"])["status"] == "deleted"


@server_at_night
def test_a_cancel_of_one_that_died_while_its_days_were_attached_takes_them_out_again(
    world: World, source: Tenant
) -> None:
    source.history(DAYS)
    world.traffic((1,), DAYS[:1])
    die_with_a_day_attached(world)
    assert len(loaded(world)) == 3
    [row] = queue(world)
    assert row["status"] == "FAILED"
    control_job(world, "cancel", row["id"])
    assert loaded(world) == []
    assert all_landed(world.client) == []
    [left] = world.client.query("SELECT count() FROM events").result_rows
    assert left == (2,)


@server_at_night
@pytest.mark.long
def test_a_cancel_in_the_moment_of_the_end_leaves_nothing_either_and_moves_no_mark(
    world: World, source: Tenant
) -> None:
    source.history(DAYS)
    whole = Staging.attach

    def attach(self: Staging, group: Group) -> None:
        whole(self, group)
        who = {"requested_by": "bob", "reason": "it is late"}
        control.cancel(world.client, POSTGRES_BACKFILL, self.work_id, "by-hand", **who)

    with world.monkeypatch.context() as patched:
        patched.setattr(Staging, "attach", attach)
        assert load(world, kind="incremental")["status"] == "cancelled"
    assert loaded(world) == []
    control_job(world, "delete", show(world, "")["postgres_backfills"][0]["id"])
    assert loaded(world) == []
    load(world, kind="incremental")
    assert sorted(loaded(world)) == sorted(source.rows())


@on_one_engine
@pytest.mark.slow(minutes=0.1)
def test_a_load_by_keys_that_finds_an_empty_table_passes_nothing_by(
    world: World, source: Tenant, tmp_path: Path
) -> None:
    (tmp_path / "sources.yaml").write_text(DECLARED.replace("        changed: updated_at\n", ""))
    load(world, kind="incremental")
    source.connection.execute("INSERT INTO page_views VALUES (-5, 1, gen_random_uuid(), %s, 's', '/')", [noon(DAYS[0])])
    assert load(world, kind="incremental")["count_record"] == 1
    [key] = source.add([(1, noon(DAYS[0]), "s")])
    assert load(world, kind="incremental")["count_record"] == 1
    assert key > -5
    assert len(loaded(world)) == 2


@server_at_night
@pytest.mark.long
def test_an_incremental_load_brings_what_changed_since_the_last_one_with_the_same_filters(
    world: World, source: Tenant
) -> None:
    first = source.add([(1, noon(DAYS[0]), "s")])
    load(world, kind="incremental")
    second = source.add([(1, noon(DAYS[1]), "s"), (2, noon(DAYS[1]), "s")])
    # A load of everything, and one with filters, move nothing that the others go by.
    load(world, filter_sql="tenant_id = 7")
    load(world, kind="incremental", filter_sql="tenant_id = 2")
    report = load(world, kind="incremental")
    assert report["count_record"] == len(second)
    assert len(set(loaded(world))) == len(first) + len(second)
    source.connection.execute("UPDATE page_views SET path = '/b', updated_at = clock_timestamp() WHERE id = %s", first)
    assert load(world, kind="incremental")["count_record"] == 1
    assert load(world, kind="incremental")["count_record"] == 0


@server_at_night
def test_what_was_written_before_a_load_and_commits_during_it_is_waited_for(world: World, source: Tenant) -> None:
    source.add([(1, noon(DAYS[0]), "s")])
    load(world, kind="incremental")
    with psycopg.connect(source.dsn) as late:
        late.execute("INSERT INTO page_views (tenant_id, happened_at, session) VALUES (1, %s, 'late')", [noon(DAYS[1])])
        source.add([(1, noon(DAYS[2]), "s")])  # a higher key, a later time, and committed first
        sleeps = iter([None, None, late.commit])

        def sleep(_: float) -> None:
            if act := next(sleeps, None):
                act()

        world.monkeypatch.setattr(reading, "sleep", sleep)
        assert load(world, kind="incremental")["count_record"] == 2
    assert len(loaded(world)) == 3


@server_at_night
def test_a_row_of_a_query_that_gets_no_key_while_it_is_waited_for_fails_it(
    world: World, source: Tenant, tmp_path: Path
) -> None:
    text = """SELECT key, updated_at, event_id AS uuid, tenant_id AS team_id, happened_at AS timestamp,
        '$pageview' AS event FROM page_views"""
    (tmp_path / "late_orders.sql").write_text(text)
    declared = "      - query: late_orders\n        key: key\n        changed: updated_at"
    (tmp_path / "sources.yaml").write_text(DECLARED.replace("      - query: late_orders", declared))
    with psycopg.connect(source.dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE page_views ADD COLUMN key text DEFAULT 'k'")
    source.add([(1, noon(DAYS[0]), "s")])
    with psycopg.connect(source.dsn) as late:
        late.execute("INSERT INTO page_views (tenant_id, happened_at, key) VALUES (1, %s, NULL)", [noon(DAYS[1])])
        sleeps = iter([None, None, late.commit])

        def sleep(_: float) -> None:
            if act := next(sleeps, None):
                act()

        world.monkeypatch.setattr(reading, "sleep", sleep)
        with pytest.raises(Failure, match="rows of late_orders have no key"):
            load(world, kind="incremental", table_name="late_orders")
    assert loaded(world) == []


@on_one_engine
@pytest.mark.long
def test_a_transaction_that_does_not_end_fails_an_incremental_load_and_no_row_is_passed_by(
    world: World, source: Tenant
) -> None:
    source.add([(1, noon(DAYS[0]), "s")])
    world.monkeypatch.setattr(reading, "OPEN_SECONDS", 1.0)
    with psycopg.connect(source.dsn) as late:
        late.execute("INSERT INTO page_views (tenant_id, happened_at, session) VALUES (1, %s, 'late')", [noon(DAYS[1])])
        assert load(world, raise_on_error=False, kind="incremental") == {}
        [row] = queue(world)
        assert row["status"] == "FAILED"
        seen = "… of PostgreSQL had not ended"
        assert symptom(seen).search(show(world, row["id"])["outcome_words"])
    world.run_as_configured(*cure(seen, "resume_postgres_backfill_job", **of(row["id"])))
    assert queue(world)[0]["status"] == "COMPLETED"
    assert len(loaded(world)) == 2


@on_one_engine
def test_a_host_that_is_allowed_hears_of_each_range_and_of_the_end(world: World, source: Tenant) -> None:
    source.history(DAYS)
    with listening(204, 204, 204) as (host, heard):
        world.set(backfill_webhook_hosts=host)
        load(world, webhook=f"http://{host}/loads", parallelism=2)
    assert [message["percent"] for message in heard] == [50.0, 100.0, None]
    assert (heard[-1]["queue_status"], heard[-1]["count_record"]) == ("COMPLETED", 9)


@on_one_engine
def test_what_landed_of_one_that_failed_is_kept_for_some_days_and_then_swept(world: World, source: Tenant) -> None:
    source.add([(None, noon(DAYS[0]), "s")])
    load(world, raise_on_error=False)
    world.run_as_configured("sweep_backups_job")
    assert len(all_landed(world.client)) == 1
    now = world.client.query("SELECT now64(6) + INTERVAL 8 DAY").result_rows[0][0]
    said = list[str]()
    assert sweep_landings(world.client, POSTGRES_BACKFILL, FINISHED, "by-hand", said.append, now=now, kept_days=7) == (
        queue(world)[0]["id"],
    )
    assert (all_landed(world.client), said) == ([], [])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            "ALTER TABLE page_views ALTER session TYPE varchar",
            "the column session of public.page_views is character varying",
        ),
        ("ALTER TABLE page_views RENAME session TO visit", symptom("the column … now, and was …")),
        ("DROP TABLE page_views", symptom("the table … is not there any more")),
    ],
)
@on_one_engine
def test_a_source_that_is_otherwise_than_it_was_planned_ends_it_with_what_to_do(
    world: World, source: Tenant, changed: str, words: str | re.Pattern[str]
) -> None:
    source.history(DAYS)
    with world.monkeypatch.context() as patched:
        patched.setattr(world, "monkeypatch", patched)
        asks_after(world, 2, control.pause)
        load(world, batch_size=2)
    source.connection.execute(changed.encode())
    [row] = queue(world)
    with pytest.raises(Failure, match=words):
        control_job(world, "resume", row["id"])
    assert (queue(world)[0]["status"], loaded(world)) == ("FAILED", [])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pipeline": "tenant"}, ["pipeline is 'tenant': WEB_ANALYTICS_SOURCES declares tenant-import"]),
        ({"table_name": "orders"}, ["table_name is 'orders': the pipeline tenant-import has public.page_views"]),
        (
            {"filter_sql": "tenant = 1; id LIKE '5%'; happened_at > 'soon'", "requested_by": "", "webhook": "x"},
            ["no column tenant", "id LIKE", "'soon'", "requested_by is empty", "webhook is no http"],
        ),
        ({"filters": [{"column": "id", "operator": "=", "value": 1}], "filter_sql": "id = 1"}, ["both given"]),
    ],
)
@on_one_engine
def test_a_request_that_cannot_be_is_refused_with_everything_that_is_wrong_before_anything_is_touched(
    world: World, source: Tenant, given: dict[str, Any], words: list[str]
) -> None:
    source.history(DAYS)
    with pytest.raises(UserError) as refused:
        load(world, **given)
    assert [word for word in words if word not in str(refused.value)] == []
    assert queue(world) == []


NO_SEQUENCE = "does not come from a sequence that only grows"
MIGHT_PASS_BY = {
    "the sequence of the identity is cached": (
        "by the key",
        "ALTER TABLE page_views ALTER id SET CACHE 20",
        NO_SEQUENCE,
    ),
    "a sequence of the default is cached": (
        "by the key",
        """ALTER TABLE page_views ALTER id DROP IDENTITY; CREATE SEQUENCE s CACHE 20;
        ALTER TABLE page_views ALTER id SET DEFAULT nextval('s')""",
        NO_SEQUENCE,
    ),
    "applications hand out numbers in blocks": (
        "by the key",
        "ALTER TABLE page_views ALTER id SET INCREMENT 50",
        NO_SEQUENCE,
    ),
    "nothing gives the numbers": ("by the key", "ALTER TABLE page_views ALTER id DROP IDENTITY", NO_SEQUENCE),
    "times have no zone": ("", "ALTER TABLE page_views ALTER updated_at TYPE timestamp", "hangs on the session"),
    "times may be absent": ("", "ALTER TABLE page_views ALTER updated_at DROP NOT NULL", "such rows would never come"),
    "row security": (
        "as reader",
        """CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT SELECT ON page_views TO reader;
        ALTER TABLE page_views ENABLE ROW LEVEL SECURITY""",
        "row security of public.page_views hides rows",
    ),
}


@pytest.mark.parametrize("case", MIGHT_PASS_BY)
@on_one_engine
def test_a_load_that_might_pass_rows_by_for_ever_is_refused(
    world: World, source: Tenant, tmp_path: Path, case: str
) -> None:
    how, made, words = MIGHT_PASS_BY[case]
    for statement in made.split(";"):
        source.connection.execute(statement.encode())
    if how == "by the key":
        (tmp_path / "sources.yaml").write_text(DECLARED.replace("        changed: updated_at\n", ""))
    if how == "as reader":
        where = source.dsn.partition("@")[2]
        world.monkeypatch.setenv("TENANT_POSTGRES_DSN", f"postgresql://reader:reader@{where}")
    try:
        with pytest.raises(UserError, match=words):
            load(world, kind="incremental")
    finally:
        if how == "as reader":
            source.connection.execute("DROP OWNED BY reader; DROP ROLE reader")


@on_one_engine
@pytest.mark.slow(minutes=0.1)
def test_a_mark_that_is_ahead_of_what_there_is_is_told_and_a_person_may_start_over(
    world: World, source: Tenant, tmp_path: Path
) -> None:
    (tmp_path / "sources.yaml").write_text(DECLARED.replace("        changed: updated_at\n", ""))
    source.history(DAYS)
    load(world, kind="incremental")
    source.connection.execute("TRUNCATE page_views RESTART IDENTITY")
    source.add([(1, noon(DAYS[0]), "s")])
    with pytest.raises(UserError, match="has come to 1, and an incremental load had come to 9"):
        load(world, kind="incremental")
    assert load(world, kind="incremental", start_over=True)["count_record"] == 1
    source.add([(1, noon(DAYS[0]), "s")])
    assert load(world, kind="incremental")["count_record"] == 1


@on_one_engine
@pytest.mark.slow(minutes=0.1)
def test_a_transaction_that_is_open_for_long_holds_the_mark_back_and_nothing_else(world: World, source: Tenant) -> None:
    source.add([(1, noon(DAYS[0]), "s")])
    source.connection.execute("UPDATE page_views SET updated_at = now() - interval '10 minutes'")
    world.monkeypatch.setattr(compiling, "LONG", "0 seconds")
    with psycopg.connect(source.dsn) as long:
        long.execute("SELECT 1")
        source.add([(1, noon(DAYS[1]), "s")])
        assert load(world, kind="incremental")["count_record"] == 1
    assert load(world, kind="incremental")["count_record"] == 1


@pytest.mark.parametrize("changed", variants("table", "columns", "query"))
@on_one_engine
@pytest.mark.slow(minutes=0.1)
def test_what_decides_which_rows_are_meant_has_changed_so_that_a_load_begins_anew(
    world: World, source: Tenant, tmp_path: Path, changed: str
) -> None:
    source.history(DAYS)
    name = "late_orders" if changed == "query" else "public.page_views"
    if changed == "query":
        declared = "      - query: late_orders\n        key: uuid\n        changed: updated_at"
        (tmp_path / "sources.yaml").write_text(DECLARED.replace("      - query: late_orders", declared))
        text = (
            "SELECT event_id AS uuid, tenant_id AS team_id, happened_at AS timestamp, '$pageview' AS event, updated_at"
        )
        (tmp_path / "late_orders.sql").write_text(f"{text} FROM page_views WHERE id < 5")
    assert load(world, kind="incremental", table_name=name)["count_record"] == (4 if changed == "query" else 9)
    assert load(world, kind="incremental", table_name=name)["count_record"] == 0
    if changed == "columns":
        (tmp_path / "sources.yaml").write_text(DECLARED.replace("pathname: path", "host: path", 1))
    elif changed == "query":
        (tmp_path / "late_orders.sql").write_text(f"{text} FROM page_views WHERE id < 100")
    else:
        source.connection.execute("ALTER TABLE page_views RENAME TO old")
        source.connection.execute("CREATE TABLE page_views (LIKE old INCLUDING ALL); INSERT INTO page_views TABLE old")
    assert load(world, kind="incremental", table_name=name)["count_record"] == 9


@on_one_engine
def test_what_somebody_wrote_into_what_has_landed_ends_it_and_no_row_of_it_is_seen(
    world: World, source: Tenant
) -> None:
    row_id = paused(world, source)
    [landing] = all_landed(world.client)
    world.client.command(f"INSERT INTO {landing} SELECT * REPLACE (_attempt + 1 AS _attempt) FROM {landing}")
    with pytest.raises(Failure, match=symptom("… is otherwise than it landed")):
        control_job(world, "resume", row_id)
    assert (queue(world)[0]["status"], loaded(world)) == ("FAILED", [])


def paused(world: World, source: Tenant) -> str:
    """A load of which two batches have landed."""
    source.history(DAYS)
    with world.monkeypatch.context() as patched:
        patched.setattr(world, "monkeypatch", patched)
        asks_after(world, 2, control.pause)
        load(world, batch_size=2)
    return str(queue(world)[0]["id"])


@at_night
@on_one_engine
def test_a_load_whose_source_is_gone_fails_and_goes_on_when_it_is_back(
    world: World, source: Tenant, postgres: PostgresServer
) -> None:
    row_id = paused(world, source)
    seen = "… does not answer"
    rows = source.rows()
    postgres.stop()
    try:
        with world.monkeypatch.context() as patched:
            patched.setattr(execution, "Postgres", partial(reading.Postgres, patience=0.0))
            with pytest.raises(UserError, match=symptom(seen)):
                control_job(world, "resume", row_id)
    finally:
        postgres.start()
    assert queue(world)[0]["status"] == "FAILED"
    world.run_as_configured(*cure(seen, "resume_postgres_backfill_job", **of(row_id)))
    assert (queue(world)[0]["status"], sorted(loaded(world))) == ("COMPLETED", sorted(rows))


@on_one_engine
def test_another_table_of_the_name_that_comes_in_the_middle_ends_it(world: World, source: Tenant) -> None:
    source.history(DAYS)
    landed = LandingRanges._land

    def landing(self: LandingRanges, *rest: Any) -> int:
        rows = landed(self, *rest)
        source.connection.execute("ALTER TABLE page_views RENAME TO old")
        source.connection.execute("CREATE TABLE page_views (LIKE old INCLUDING ALL)")
        world.monkeypatch.setattr(LandingRanges, "_land", landed)
        return rows

    world.monkeypatch.setattr(LandingRanges, "_land", landing)
    assert load(world, raise_on_error=False, batch_size=3) == {}
    [row] = queue(world)
    assert "is another table than it was planned" in show(world, row["id"])["outcome_words"]
    assert (row["status"], loaded(world)) == ("FAILED", [])


@on_one_engine
def test_who_loads_for_teams_that_are_not_enabled_is_told(world: World, source: Tenant) -> None:
    world.select(1)
    source.history(DAYS[:1], tenants=(1, 2))
    assert "nothing is built for team_id 2: not enabled" in load(world)["outcome_words"]


@server_at_night
def test_columns_are_taken_by_their_places_whatever_they_are_called(
    world: World, source: Tenant, tmp_path: Path
) -> None:
    added = "ADD COLUMN c1 Int64, ADD COLUMN k String, ADD COLUMN n LowCardinality(UInt32), "
    added += "ADD COLUMN constants String, ADD COLUMN born Date32"
    world.client.command(f"ALTER TABLE events {added} SETTINGS allow_suspicious_low_cardinality_types = 1")
    mapped = DECLARED.replace(
        "{team_id: tenant_id,", "{c1: id, k: path, n: id, constants: path, born: happened_at, team_id: tenant_id,", 1
    )
    (tmp_path / "sources.yaml").write_text(mapped)
    source.history(DAYS)
    load(world)
    assert sorted(loaded(world)) == sorted(source.rows())
    found = world.client.query("SELECT c1, k, n, constants, born FROM events ORDER BY c1").result_rows
    born = [day for day in DAYS for _ in range(3)]
    assert [tuple(row) for row in found] == [(key, "/", key, "/", born[key - 1]) for key in range(1, 10)]


@on_one_engine
def test_without_a_declaration_the_job_says_so(world: World) -> None:
    with pytest.raises(UserError, match="none are declared"):
        load(world)
