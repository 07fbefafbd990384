"""A backup is restored if it holds what it held, however its parts were merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dags.clickhouse.sql import is_embedded
from dags.publish.digests import read_digest
from dags.tests.managed_backfill.test_managed_backfill import fails, prepared, who
from dags.tests.managed_backfill.test_taking_back import others_write, rollback, states
from dags.tests.managed_backfill.test_what_others_wrote import DAY, one_day, replaced
from dags.tests.variants import embedded_at_night, variants
from dags.tests.world import STATS
from dags.web_preaggregated.tables import STATS as TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from dags.tests.world import World

pytestmark = embedded_at_night

EVENTS = "web_analytics_backfill_events"
FORGED = (
    "INSERT INTO {backup} (period_bucket, team_id, pathname, sessions_uniq_state, pageviews_count_state) "
    "SELECT '{day} 05:00:00', 1, 'forged', uniqState('f'), sumState(toUInt64({views}))"
)


def backup_of(world: World) -> str:
    [(backup,)] = world.client.query("SHOW TABLES LIKE 'web_pre_aggregated_backup_%'").result_rows
    return str(backup)


def as_recorded_by_0_5_0(world: World) -> None:
    digest = read_digest(world.client, TABLE, backup_of(world), DAY, [1]).text()
    world.client.command(
        f"ALTER TABLE {EVENTS} UPDATE detail = {{detail:String}} WHERE event = 'day_backed_up'",
        parameters={"detail": digest},
        settings={"mutations_sync": 2},
    )


def as_recorded(_: World) -> None:
    pass


@pytest.mark.parametrize(
    ("recorded", "merge"),
    variants(
        (as_recorded, "OPTIMIZE TABLE {backup}"), (as_recorded_by_0_5_0, "OPTIMIZE TABLE {backup} FINAL DEDUPLICATE")
    ),
)
def test_a_backup_is_not_merged_and_one_that_an_older_version_recorded_may_have_been(
    world: World, recorded: Callable[[World], None], merge: str
) -> None:
    before, report = replaced_in_two_parts(world)
    recorded(world)
    world.client.command(merge.format(backup=backup_of(world)))
    rollback(world, report["backfill_id"])
    assert states(world)[DAY] == before


def replaced_in_two_parts(world: World) -> tuple[Any, dict[str, Any]]:
    """A day in several parts that a backfill replaced: what it held, and the report."""
    prepared(world, 1)
    world.build(DAY)
    others_write(world, DAY, team=1)
    before = states(world)[DAY]
    world.traffic([1], [DAY], session="late")
    return before, one_day(world)


@pytest.mark.parametrize("recorded", variants(as_recorded, as_recorded_by_0_5_0))
def test_a_backup_with_equal_totals_and_other_rows_is_refused(world: World, recorded: Callable[[World], None]) -> None:
    backfill_id = replaced(world)
    recorded(world)
    backup = backup_of(world)
    world.client.command(f"CREATE TABLE tmp AS {backup}")
    try:
        world.client.command(f"INSERT INTO tmp SELECT * REPLACE('x' AS pathname) FROM {backup}")
        world.client.command(f"ALTER TABLE {backup} REPLACE PARTITION {DAY:%Y%m%d} FROM tmp")
        refused = fails(world, "rollback_backfill_job", **who(backfill_id, allow_losing_later_builds=False))
        assert f"does not hold {DAY} as it was recorded" in refused
    finally:
        world.client.command("DROP TABLE tmp SYNC")


def refused(world: World, backfill_id: str) -> bool:
    shown = fails(world, "rollback_backfill_job", **who(backfill_id, allow_losing_later_builds=True))
    return f"does not hold {DAY} as it was recorded" in shown


def test_a_backup_of_rows_that_were_deleted_lightly_is_restored(world: World) -> None:
    prepared(world, 1, 2)
    world.built(DAY)
    world.client.command(f"DELETE FROM {STATS} WHERE team_id = 2")
    before = states(world)[DAY]
    world.traffic([1], [DAY], session="late")
    report = one_day(world)
    world.client.command(f"OPTIMIZE TABLE {backup_of(world)}")
    rollback(world, report["backfill_id"])
    assert states(world)[DAY] == before


@pytest.mark.parametrize(
    "change",
    variants(
        "ALTER TABLE {backup} DETACH PARTITION {partition}; ALTER TABLE {backup} ATTACH PARTITION {partition}",
        "ALTER TABLE {backup} ADD COLUMN note String",
    ),
)
def test_a_backup_that_was_moved_or_widened_is_restored(world: World, change: str) -> None:
    prepared(world, 1)
    world.built(DAY)
    before = states(world)[DAY]
    world.traffic([1], [DAY], session="late")
    report = one_day(world)
    for statement in change.split("; "):
        world.client.command(statement.format(backup=backup_of(world), partition=f"{DAY:%Y%m%d}"))
    rollback(world, report["backfill_id"])
    assert states(world)[DAY] == before


def test_a_backup_of_which_rows_went_in_a_merge_is_refused(world: World) -> None:
    backfill_id = replaced(world)
    backup = backup_of(world)
    world.client.command(
        f"ALTER TABLE {backup} MODIFY TTL period_bucket + INTERVAL 1 SECOND DELETE WHERE pathname != ''",
        settings={"mutations_sync": 2},
    )
    world.client.command(f"OPTIMIZE TABLE {backup} FINAL")
    assert world.client.query(f"SELECT count() FROM {backup}").result_rows == [(0,)]
    assert refused(world, backfill_id)


@pytest.mark.parametrize(
    "change",
    [
        ["OPTIMIZE TABLE {backup} FINAL"],
        [
            "ALTER TABLE {backup} MODIFY COLUMN sessions_uniq_state TTL period_bucket + INTERVAL 1 SECOND",
            "OPTIMIZE TABLE {backup} FINAL",
            "ALTER TABLE {backup} MODIFY COLUMN sessions_uniq_state REMOVE TTL",
        ],
        [
            "TRUNCATE TABLE {backup} SYNC",
            "DETACH TABLE {backup}",
            "ATTACH TABLE {backup}",
            "ALTER TABLE {backup} REPLACE PARTITION {partition} FROM {table}",
        ],
        ["ALTER TABLE {backup} DELETE WHERE pathname = ''", "ALTER TABLE {backup} ADD COLUMN later String"],
    ],
    ids=["merged", "a TTL came and went", "filled anew under the same numbers", "rows removed, a column added"],
)
def test_a_backup_that_was_touched_by_hand_is_refused_though_its_page_views_are_equal(
    world: World, change: list[str]
) -> None:
    _, report = replaced_in_two_parts(world)
    named = {"backup": backup_of(world), "table": STATS, "partition": f"{DAY:%Y%m%d}"}
    at_once = {"mutations_sync": 2, "materialize_ttl_after_modify": 0}
    for statement in change:
        world.client.command(statement.format(**named), settings=at_once)
    assert refused(world, report["backfill_id"])


def test_a_backup_that_was_emptied_and_written_anew_is_refused_though_its_numbers_are_the_same(world: World) -> None:
    if is_embedded(world.client):
        pytest.skip("a table is loaded anew by the next process there")
    backfill_id = replaced(world)
    backup = backup_of(world)
    parts = f"SELECT min_block_number FROM system.parts WHERE database = currentDatabase() AND table = '{backup}'"
    [(block,)] = world.client.query(f"{parts} AND active").result_rows
    world.client.command(f"DROP TABLE {backup} SYNC")
    world.client.command(f"CREATE TABLE {backup} AS {STATS}")
    for _ in range(block):
        world.client.command(FORGED.format(backup=backup, day=DAY, views=1))
    assert refused(world, backfill_id)


def test_a_forged_backup_with_a_column_more_is_refused(world: World) -> None:
    backfill_id = replaced(world)
    backup = backup_of(world)
    [(views,)] = world.client.query(f"SELECT sumMerge(pageviews_count_state) FROM {backup}").result_rows
    world.client.command(f"ALTER TABLE {backup} ADD COLUMN note String")
    world.client.command(f"TRUNCATE TABLE {backup} SYNC")
    world.client.command(FORGED.format(backup=backup, day=DAY, views=views + 1))
    assert refused(world, backfill_id)


def test_a_table_with_states_of_its_own_is_built_and_taken_back(world: World) -> None:
    columns = (
        "newest SimpleAggregateFunction(max, Nullable(DateTime))",
        "largest AggregateFunction(max, Nullable(UInt8))",
        "sums AggregateFunction(sumMap, Array(UInt8), Array(UInt64))",
        "strays SimpleAggregateFunction(sum, UInt64)",
        "rows AggregateFunction(sum, UInt64)",
        "elements SimpleAggregateFunction(groupUniqArrayArray, Array(UInt8)) DEFAULT [1, 1, 2]",
    )
    world.client.command(f"ALTER TABLE {STATS} " + ", ".join(f"ADD COLUMN {column}" for column in columns))
    try:
        prepared(world, 1)
        world.built(DAY)
        before = states(world)[DAY]
        world.traffic([1], [DAY], session="late")
        report = one_day(world)
        assert states(world)[DAY] != before
        world.client.command(f"OPTIMIZE TABLE {STATS} FINAL")
        rollback(world, report["backfill_id"])
        assert states(world)[DAY] == before
    finally:
        dropped = ", ".join(f"DROP COLUMN {column.split(maxsplit=1)[0]}" for column in columns)
        world.client.command(f"ALTER TABLE {STATS} {dropped}", settings={"mutations_sync": 2})
