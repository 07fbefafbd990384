"""A load lands, is checked, is attached by the day, and leaves again: on real engines, whatever happens in between."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.leases.rules import new_token
from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.sql import Sql
from dags.clickhouse.targets.definition import MODE
from dags.clickhouse.targets.store import describe, setting_for_all
from dags.domain.errors import BuildError, LeaseLostError
from dags.sources.loads import landing as landings
from dags.sources.loads import staging as stagings
from dags.sources.loads.attaching import (
    Attaching,
    present,
    require_attachable,
    require_same,
    take_out,
    while_there,
    withdraw,
)
from dags.sources.loads.landing import all_landed, drop_tables, fence_loads, open_landing, tables_of
from dags.sources.loads.names import load_id
from dags.sources.loads.shape import INFINITY, Column, Shape, day_of
from dags.sources.loads.staging import Staging
from dags.sources.loads.verdicts import Checkpoint, Group, groups, landed_wrong
from dags.tests.events import Event, insert
from dags.tests.runbook import symptom
from dags.tests.variants import server_in_stories
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.sources.loads.landing import Landing

pytestmark = server_in_stories

WORK, LOAD = "postgres-backfill-1a2b3c4d", load_id("postgres-backfill-1a2b3c4d")
DAYS = [date(2026, 1, 1) + timedelta(days=number) for number in range(4)]
SHAPE = Shape(
    "events",
    (
        Column("team_id", "UInt64"),
        Column("uuid", "UUID"),
        Column("timestamp", "DateTime64(6, 'UTC')"),
        Column("session_id", "String"),
        Column("pathname", "String"),
        Column("viewport_width", "Int64", "1280"),
        Column("event", "LowCardinality(String)", "$pageview"),
    ),
)
_ids = count(10**6)  # no id of another event


def row(
    day: date, *, team: int | None = 1, batch: int = 1, part: int = 1, at: int | None = None, uuid: bool = True
) -> list[Any]:
    number = next(_ids)
    moment = datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(microseconds=number)
    micros = at if at is not None else int(moment.timestamp()) * 1_000_000 + moment.microsecond
    shown = date(1970, 1, 1) if abs(micros) > 10**16 else day
    return [
        part,
        batch,
        f"k{batch}",
        f"k{number}",
        shown,
        team,
        UUID(int=number) if uuid else None,
        micros,
        f"s{number}",
        "/",
    ]


def land(client: Client, landing: Landing, rows: Sequence[list[Any]]) -> None:
    columns = ["_range", "_batch", "_until", "_key", "_day", *(column.name for column in landing.shape.landed)]
    client.insert(landing.name, rows, column_names=columns)


def opened(client: Client, run: str = "run-1", confirm: Callable[[], None] = lambda: None) -> tuple[Landing, str]:
    token = new_token(run)
    return open_landing(
        client, WORK, int(run.removeprefix("run-")), token, SHAPE, confirm=confirm, batch_size=2, rows=8
    ), token


def staging(client: Client, landing: Landing, token: str, confirm: Callable[[], None] = lambda: None) -> Staging:
    attaching = Attaching(client, landing.shape.target, (LOAD,), landing.name, confirm)
    return Staging(attaching, landing, WORK, LOAD, token)


def held(client: Client) -> list[tuple[Any, ...]]:
    """Rows of the target by day, of this load and of others."""
    counted = "countIf(load_id != 0), countIf(load_id = 0), uniqExact(uuid)"
    rows = client.query(f"SELECT toDate(timestamp) AS day, {counted} FROM events GROUP BY day ORDER BY day").result_rows
    return [tuple(row) for row in rows]


def test_what_landed_is_there_day_by_day_beside_what_others_wrote(client: Client) -> None:
    insert(client, [Event(7, datetime(2026, 1, 2, 9, tzinfo=UTC))])
    landing, token = opened(client)
    land(client, landing, [row(day) for day in DAYS for _ in range(3)])
    [whole] = groups(landing.rows_by_day(client), at_once=100)
    for _ in range(2):  # done twice, it changes nothing
        staging(client, landing, token).attach(whole)
        assert held(client) == [(day, 3, int(day == DAYS[1]), 3 + int(day == DAYS[1])) for day in DAYS]
    [found] = client.query(
        "SELECT DISTINCT event, viewport_width, qualifies, load_id, inserted_at > now() - 60 FROM events WHERE load_id"
    ).result_rows
    assert found == ("$pageview", 1280, 1, LOAD, True)
    assert [name for name in tables_of(client, WORK) if name != landing.name] == []


def test_days_are_the_same_however_few_rows_are_sorted_at_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stagings, "SORTED_AT_ONCE", 4)
    landing, token = opened(client)
    rows = [row(day) for number, day in enumerate(DAYS) for _ in range(2 + 3 * (number == 2))]
    land(client, landing, rows)
    staging(client, landing, token).attach(Group(landing.rows_by_day(client)))
    assert held(client) == [(day, 2 + 3 * (day == DAYS[2]), 0, 2 + 3 * (day == DAYS[2])) for day in DAYS]


@pytest.mark.parametrize(("rows", "is_merged"), [(2 * landings.MANY_PARTS, False), (2 * landings.MANY_PARTS + 1, True)])
def test_batches_are_merged_where_there_are_many(client: Client, rows: int, *, is_merged: bool) -> None:
    landing = open_landing(client, WORK, 1, new_token("run-1"), SHAPE, confirm=lambda: None, batch_size=2, rows=rows)
    for number in range(3):
        land(client, landing, [row(DAYS[0], batch=number)])
    with suppress(ClickHouseError):  # nothing to do is an error where nothing may be merged
        client.command(f"OPTIMIZE TABLE {landing.name}", settings={"optimize_throw_if_noop": 1})
    [(parts,)] = client.query(
        f"SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = '{landing.name}'"
    ).result_rows
    assert parts == (1 if is_merged else 3)


def test_other_rows_than_have_landed_are_an_error_with_the_first_day_that_has_them() -> None:
    require_same({DAYS[0]: 3}, {DAYS[0]: 3, DAYS[1]: 9}, "events holds")
    with pytest.raises(BuildError, match=symptom("other rows of the load than have landed")) as wrong:
        require_same({DAYS[0]: 3, DAYS[1]: 2}, {DAYS[0]: 3}, "events holds")
    assert f"0 instead of 2 on {DAYS[1]}" in str(wrong.value)


def test_days_are_staged_in_groups_of_so_many_rows() -> None:
    rows_by_day = dict(zip(DAYS, [5, 3, 20, 1], strict=True))
    assert [dict(one.rows_by_day) for one in groups(rows_by_day, at_once=8)] == [
        {DAYS[0]: 5, DAYS[1]: 3},
        {DAYS[2]: 20},
        {DAYS[3]: 1},
    ]


def test_a_day_that_is_there_in_part_is_taken_out_and_done_again_and_others_keep_their_rows(client: Client) -> None:
    insert(client, [Event(7, datetime(2026, 1, 1, 9, tzinfo=UTC))])
    landing, token = opened(client)
    land(client, landing, [row(DAYS[0]) for _ in range(5)])
    whole = Group(landing.rows_by_day(client))
    staging(client, landing, token).attach(whole)
    client.command(
        f"DELETE FROM events WHERE load_id = {LOAD} AND uuid IN (SELECT uuid FROM events WHERE load_id != 0 LIMIT 2)"
    )
    assert held(client) == [(DAYS[0], 3, 1, 4)]
    staging(client, landing, token).attach(whole)
    assert held(client) == [(DAYS[0], 5, 1, 6)]


def test_rows_are_taken_out_of_some_days_and_no_other_row_is(client: Client) -> None:
    insert(client, [Event(7, datetime(2026, 1, 1, 9, tzinfo=UTC))])
    landing, token = opened(client)
    land(client, landing, [row(day) for day in DAYS[:2]])
    staging(client, landing, token).attach(Group(landing.rows_by_day(client)))
    take_out(client, "events", [LOAD], DAYS[:1])
    assert held(client) == [(DAYS[0], 0, 1, 1), (DAYS[1], 1, 0, 1)]
    assert present(client, "events", [LOAD], DAYS) == {DAYS[1]: 1}


def test_a_later_run_has_what_earlier_ones_landed_and_these_can_land_nothing_more(client: Client) -> None:
    first, _ = opened(client)
    land(client, first, [row(DAYS[0], batch=1), row(DAYS[0], batch=2), row(DAYS[1], part=2)])
    second, _ = opened(client, "run-2")
    assert second.checkpoints(client) == {1: Checkpoint(2, "k2", 2), 2: Checkpoint(1, "k1", 1)}
    with pytest.raises(ClickHouseError):
        land(client, first, [row(DAYS[0])])
    assert tables_of(client, WORK) == [second.name]


def test_who_has_lost_the_lease_when_it_has_taken_over_leaves_all_of_it_to_the_next(client: Client) -> None:
    first, _ = opened(client)
    land(client, first, [row(DAYS[0]), row(DAYS[1], part=2)])

    def robbed() -> None:
        raise LeaseLostError("another run has it")

    with pytest.raises(LeaseLostError):
        opened(client, "run-2", robbed)
    assert first.name in tables_of(client, WORK)
    landings.drop_table(client, first.name)  # as who wakes up too early might
    third, _ = opened(client, "run-3")
    assert third.checkpoints(client) == {1: Checkpoint(1, "k1", 1), 2: Checkpoint(1, "k1", 1)}
    assert tables_of(client, WORK) == [third.name]


def test_who_has_lost_the_lease_before_anything_landed_leaves_no_table(client: Client) -> None:
    def robbed() -> None:
        raise LeaseLostError("another run has it")

    with pytest.raises(LeaseLostError):
        opened(client, "run-1", robbed)
    assert tables_of(client, WORK) == []


@pytest.mark.parametrize("dies_after", range(5))
def test_a_handover_that_breaks_off_anywhere_loses_and_doubles_nothing(
    client: Client, dies_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = opened(client)
    land(client, first, [row(DAYS[0]) for _ in range(3)])
    left = iter(range(dies_after))

    class Dying(Sql):
        def command(self, name: str, /, parameters: Any = None, **identifiers: Any) -> int:
            if name in ("create_copy", "attach_all", "rename", "drop_table") and next(left, None) is None:
                raise KeyboardInterrupt
            return super().command(name, parameters, **identifiers)

    with monkeypatch.context() as patched:
        patched.setattr(landings, "Sql", Dying)
        with pytest.raises(KeyboardInterrupt) if dies_after < 4 else nullcontext():
            opened(client, "run-2")
    third, _ = opened(client, "run-3")
    assert third.checkpoints(client) == {1: Checkpoint(1, "k1", 3)}
    assert tables_of(client, WORK) == [third.name]


def test_what_an_earlier_run_staged_is_dropped_before_another_acts_and_what_landed_is_kept(client: Client) -> None:
    landing, token = opened(client)
    land(client, landing, [row(DAYS[0])])

    class DyingError(Exception):
        pass

    def die() -> None:
        client.command(f"CREATE TABLE web_analytics_loading_postgres_backfill_1a2b3c4d__000009_{token} AS events")
        raise DyingError

    with pytest.raises(DyingError):
        staging(client, landing, token, die).attach(Group(landing.rows_by_day(client)))
    assert len(tables_of(client, WORK)) == 2
    fence_loads(client, ["run-1"])
    assert tables_of(client, WORK) == [landing.name]
    assert all_landed(client) == [landing.name]
    assert drop_tables(client, WORK) == 1
    assert all_landed(client) == []


def test_every_row_that_no_reader_may_see_is_named_with_its_keys(client: Client) -> None:
    landing, _ = opened(client)
    bad = [
        row(DAYS[0], team=None),
        row(DAYS[0], team=-3),
        row(DAYS[0], uuid=False),
        row(DAYS[0], at=INFINITY),
        row(DAYS[0], at=-INFINITY),
        row(DAYS[0], at=0),
        row(DAYS[0], at=10**16 * 9),
    ]
    land(client, landing, [row(DAYS[0]), *bad])
    assert [(found.words, found.rows, found.keys) for found in landing.findings(client)] == [
        ("team_id is absent", 1, (bad[0][3],)),
        ("team_id is 0 or less", 1, (bad[1][3],)),
        ("uuid is absent", 1, (bad[2][3],)),
        ("timestamp is infinite", 2, (bad[3][3], bad[4][3])),
        ("timestamp is before 1971 or after 2148", 2, (bad[5][3], bad[6][3])),
    ]


@pytest.mark.parametrize(
    ("micros", "day"), [(0, "1970-01-01"), (INFINITY, "1970-01-01"), (1767225599999999, "2025-12-31")]
)
def test_the_day_of_a_row_is_that_of_its_time_or_none_that_a_row_may_have(
    client: Client, micros: int, day: str
) -> None:
    found = client.query(
        f"SELECT {day_of('timestamp')} FROM (SELECT CAST({micros} AS Nullable(Int64)) AS timestamp)"
    ).result_rows
    assert [str(one) for (one,) in found] == [day]


def test_which_teams_it_brings_is_known_with_whether_they_are_enabled(client: Client) -> None:
    client.command("INSERT INTO web_pre_aggregated_teams VALUES (1, 1, now64(6)), (2, 0, now64(6))")
    landing, _ = opened(client)
    land(client, landing, [row(DAYS[0], team=1), row(DAYS[0], team=1), row(DAYS[0], team=2)])
    assert landing.teams(client) == ((1, 2, True), (2, 1, False))


def test_what_is_no_table_of_days_is_refused_by_name(client: Client) -> None:
    require_attachable(client, "events", ["team_id"])
    client.command(
        "CREATE TABLE monthly (team_id UInt64, timestamp DateTime64(6, 'UTC'), load_id UInt64) "
        "ENGINE = MergeTree PARTITION BY toYYYYMM(timestamp) ORDER BY team_id"
    )
    client.command("CREATE VIEW shown AS SELECT * FROM events")
    client.command("CREATE TABLE away AS monthly")
    client.command("DETACH TABLE away")
    wrong = {"monthly": "partitioned by", "shown": "is a View", "absent": "does not exist", "away": "is detached"}
    for table, words in wrong.items():
        with pytest.raises(BuildError, match=words):
            require_attachable(client, table, ["team_id"])
    client.command("ATTACH TABLE away")


def test_a_table_of_which_no_row_could_be_taken_out_again_is_refused_by_name(client: Client) -> None:
    client.command("ALTER TABLE events RESET SETTING lightweight_mutation_projection_mode")
    seen = symptom("has projections and not the setting that lets rows be deleted beside them")
    with pytest.raises(BuildError, match=seen) as refused:
        require_attachable(client, "events", ["team_id"])
    assert "run apply_schema_job" in str(refused.value)
    apply_schema(client, WEB_TABLES)
    require_attachable(client, "events", ["team_id"])
    client.command("ALTER TABLE events DROP PROJECTION coverage, RESET SETTING lightweight_mutation_projection_mode")
    require_attachable(client, "events", ["team_id"])  # nothing stands in the way of a deletion


def test_what_the_server_has_as_a_setting_of_all_tables_is_known_for_each_kind_of_table(client: Client) -> None:
    events = describe(client, ["events"])["events"]
    for facts in (events, replace(events, engine="ReplicatedMergeTree"), None):
        assert setting_for_all(client, facts, MODE) == "throw"
        assert setting_for_all(client, facts, "index_granularity") == "8192"


def test_a_run_that_wakes_up_in_its_handover_drops_nothing_of_who_came_after_it_and_is_never_taken_for_the_last(
    client: Client,
) -> None:
    first, _ = opened(client, "run-1")
    land(client, first, [row(DAYS[0], batch=1)])
    third, _ = opened(client, "run-3")
    land(client, third, [row(DAYS[0], batch=2)])
    opened(client, "run-2")  # it had stalled before it looked for what there is
    assert third.checkpoints(client) == {1: Checkpoint(2, "k2", 2)}
    fourth, _ = opened(client, "run-4")
    assert fourth.checkpoints(client) == {1: Checkpoint(2, "k2", 2)}
    assert tables_of(client, WORK) == [fourth.name]


def test_what_is_taken_out_late_of_a_day_in_part_is_nothing_of_who_has_taken_over(client: Client) -> None:
    landing, token = opened(client)
    land(client, landing, [row(DAYS[0])])
    staging(client, landing, token).attach(Group(landing.rows_by_day(client)))
    opened(client, "run-2")
    with pytest.raises(ClickHouseError, match="does not exist"):
        take_out(client, "events", [LOAD], DAYS[:1], while_there(landing.name))
    assert held(client) == [(DAYS[0], 1, 0, 1)]
    assert withdraw(client, "events", [LOAD]) == {DAYS[0]: 1}
    assert held(client) == []


def test_what_is_there_otherwise_than_it_landed_is_found(client: Client) -> None:
    landing, _ = opened(client)
    rows = [row(DAYS[0], part=1), row(DAYS[0], part=2), row(DAYS[0], part=2, batch=2)]
    land(client, landing, rows)
    assert landed_wrong({1: 1, 2: 2, 3: 0}, landing.checkpoints(client)) == ()
    client.command(
        f"INSERT INTO {landing.name} SELECT * REPLACE (2 AS _attempt) FROM {landing.name} "
        "WHERE _range = 2 AND _batch = 1"
    )
    client.command(f"DELETE FROM {landing.name} WHERE _range = 1")
    assert landing.batch_rows(client, 2, 1) == 2
    assert landed_wrong({1: 1}, landing.checkpoints(client)) == (
        "of range 1 1 row had landed and 0 are there",
        "of range 2 1 batch landed twice",
    )
