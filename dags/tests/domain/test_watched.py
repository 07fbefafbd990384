"""Any daily-partitioned table can be watched: declared in one place, found wrong, explained and repaired."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dags.clickhouse.sql import Sql
from dags.clickhouse.targets.facts import NEXT_STEP
from dags.definitions import location, web_pre_aggregate_job, web_pre_aggregated
from dags.demo.loop import Loop
from dags.domain.clock import utc_now
from dags.domain.expression import Expression
from dags.repair.decision import Trigger
from dags.tests.orders import ORDERS_BY_DAY, defs
from dags.tests.variants import embedded_at_night
from dags.tests.world import BOUNCES, STATS, World, ago, noon, tables_asked
from dags.web_preaggregated.tables import WEB_TABLES
from dags.web_preaggregated_backfill.evaluation import Evaluation, evaluate
from dags.web_preaggregated_backfill.own_checks import CHECK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from dags.detection.rules import Verdict
    from dags.domain.watched import WatchedTable

pytestmark = embedded_at_night

DAYS = [ago(n) for n in (9, 8, 7)]


@pytest.fixture
def shop(world: World) -> Iterator[Loop]:
    """Web traffic and orders of two teams, built by the real jobs of a location that watches three tables."""
    sql = Sql("dags.tests.orders", world.client)
    sql.command("create_orders")
    sql.command("create_orders_by_day")
    world.traffic([1, 2], DAYS)
    order(world, [1, 2, 3], DAYS)
    world.select(1, 2)
    loop = Loop(world.instance, defs)
    world.built(*DAYS)
    # As orders_job builds it; of the third account, which is no enabled team, somebody else wrote something.
    world.client.command(
        "INSERT INTO orders_by_day SELECT toDate(ordered_at) AS day, account_id, if(account_id = 3, 1, count()), "
        "uniqState(if(account_id = 3, 'c', customer)) FROM orders GROUP BY ALL"
    )
    assert wrong(world) == []
    yield loop
    for table in ("orders", "orders_by_day"):
        world.client.command(f"DROP TABLE {table} SYNC")


def order(world: World, accounts: list[int], days: list[date], customers: int = 2) -> None:
    rows = [[account, f"c{n}", noon(day, n)] for account in accounts for day in days for n in range(customers)]
    world.client.insert("orders", rows, column_names=["account_id", "customer", "ordered_at"])


def evaluated(world: World, trigger: Trigger = Trigger.SENSOR, orders: WatchedTable = ORDERS_BY_DAY) -> Evaluation:
    watched = (*WEB_TABLES, orders)
    return evaluate(world.instance, world.settings, watched, trigger, lambda work: work(world.client), now=utc_now())


def wrong(world: World) -> list[Verdict]:
    return list(evaluated(world).detection.wrong)


def test_a_third_table_is_judged_explained_and_repaired_by_its_own_job(world: World, shop: Loop) -> None:
    assert wrong(world) == []
    for day in DAYS:
        world.client.command(f"DELETE FROM orders_by_day WHERE account_id = 2 AND day = '{day}'")
    found = wrong(world)
    assert [(v.unit.table, v.unit.team_id, v.unit.day, v.reason) for v in found] == [
        ("orders_by_day", 2, day, "rows lost") for day in DAYS
    ]
    assert "source 2 customers, 2 orders; table 0 customers, 0 orders" in found[0].detail
    report = shop.missing_data()
    assert report["tables_with_missing_data"] == ["orders_by_day"]
    assert report["details"]["orders_by_day"]["missing_count"] == 3
    asked = shop.tick()
    assert {request.job_name for request in asked.requests} == {"orders_job"}
    assert tables_asked(asked) == {day.isoformat(): {"orders_by_day"} for day in DAYS}
    shop.carry_out(asked.requests, lambda _: None)
    assert wrong(world) == []
    # An account that is no enabled team is never judged, and every rebuild keeps it.
    assert world.client.query("SELECT uniqExact(day) FROM orders_by_day WHERE account_id = 3").result_rows == [(3,)]


def test_a_day_that_is_wrong_in_tables_of_two_jobs_is_a_run_of_each_and_counts_once(world: World, shop: Loop) -> None:
    world.set(backfill_max_partitions_per_run=1)
    for table in (STATS, BOUNCES, "orders_by_day"):
        column = "day" if table == "orders_by_day" else "toDate(period_bucket)"
        world.client.command(f"DELETE FROM {table} WHERE {column} IN ('{DAYS[0]}', '{DAYS[1]}')")
    asked = shop.tick()
    assert sorted((r.job_name or "", r.partition_key or "") for r in asked.requests) == [
        ("orders_job", str(DAYS[1])),
        ("web_pre_aggregate_job", str(DAYS[1])),
    ]
    assert len({request.run_key for request in asked.requests}) == 2
    shop.carry_out(asked.requests, lambda _: None)
    assert {request.partition_key for request in shop.tick().requests} == {str(DAYS[0])}


@pytest.mark.usefixtures("shop")
def test_late_orders_are_stale_and_left_to_the_comprehensive_check(world: World) -> None:
    order(world, [1], [DAYS[2]], customers=3)
    [late] = wrong(world)
    assert (late.unit.table, late.reason) == ("orders_by_day", "source grew")
    assert evaluated(world).decision.requests == ()
    world.set(backfill_min_missing_partitions=1)
    [request] = evaluated(world, Trigger.SCHEDULE).decision.requests
    assert (request.job, request.day, request.tables) == ("orders_job", DAYS[2], ("orders_by_day",))


@pytest.mark.usefixtures("shop")
def test_each_table_is_judged_from_its_own_first_day_and_closed_by_its_own_reach(world: World) -> None:
    world.client.command(f"DELETE FROM orders_by_day WHERE account_id = 2 AND day IN ('{DAYS[0]}', '{DAYS[2]}')")
    later = replace(ORDERS_BY_DAY, first_day=DAYS[1])
    assert [(v.unit.team_id, v.unit.day) for v in evaluated(world, orders=later).detection.wrong] == [(2, DAYS[2])]
    assert len(wrong(world)) == 2
    # Sessions of yesterday may still be going on, orders of yesterday are all there.
    yesterday = ago(1)
    world.traffic([1], [yesterday])
    order(world, [1], [yesterday])
    world.build(yesterday)
    shop_job = Loop(world.instance, defs)
    shop_job.run("orders_job", partition_key=yesterday.isoformat())
    world.traffic([1], [yesterday], session="later")
    order(world, [1], [yesterday], customers=3)
    late = [v for v in wrong(world) if v.unit.day == yesterday]
    assert [(v.unit.table, v.reason) for v in late] == [("orders_by_day", "source grew")]


def test_a_third_table_is_rebuilt_by_a_managed_backfill_and_rolled_back(world: World, shop: Loop) -> None:
    contents = "SELECT day, account_id, orders, finalizeAggregation(customers) FROM orders_by_day ORDER BY ALL"
    before = world.client.query(contents).result_rows
    order(world, [1, 2, 3], DAYS, customers=5)
    request = {
        "start_date": str(DAYS[0]),
        "end_date": str(DAYS[-1]),
        "target_table": "orders_by_day",
        "kind": "full_reload",
        "dry_run": False,
        "reason": "late orders",
        "requested_by": "ada",
    }
    done = shop.run("managed_backfill_job", run_config=request).output_for_node("managed_backfill")
    assert (done["status"], wrong(world)) == ("completed", [])
    after = world.client.query(contents).result_rows
    assert [row[1:] for row in after] == [(1, 7, 5), (2, 7, 5), (3, 1, 1)] * 3
    taken_back = {"backfill_id": done["backfill_id"], "requested_by": "bob", "reason": "too early"}
    shop.run("rollback_backfill_job", run_config=taken_back)
    assert world.client.query(contents).result_rows == before


@pytest.mark.usefixtures("shop")
def test_a_table_that_others_build_may_be_of_any_kind_that_can_be_read(world: World) -> None:
    built_by_others = replace(ORDERS_BY_DAY, builder=None)
    world.client.command("RENAME TABLE orders_by_day TO local_orders")
    try:
        world.client.command(
            "CREATE TABLE orders_by_day AS local_orders ENGINE = Merge(currentDatabase(), '^local_ord')"
        )
        found = evaluated(world, orders=built_by_others).detection
        assert (found.unknown, list(found.wrong)) == ({}, [])
        assert "orders_by_day is a Merge" in evaluated(world).detection.unknown["orders_by_day"]
        world.client.command("DROP TABLE orders_by_day SYNC")
        found = evaluated(world, orders=built_by_others).detection
        assert found.unknown == {"orders_by_day": f"the table orders_by_day does not exist: {NEXT_STEP}"}
        assert list(found.wrong) == []
    finally:
        world.client.command("DROP TABLE IF EXISTS orders_by_day SYNC")
        world.client.command("RENAME TABLE local_orders TO orders_by_day")


def test_it_has_its_standing_check_and_its_schedule() -> None:
    keys = defs.resolve_asset_graph().asset_check_keys
    assert {key.asset_key.to_user_string() for key in keys if key.name == CHECK} == {STATS, BOUNCES, "orders_by_day"}
    names = {schedule.name for schedule in defs.get_repository_def().schedule_defs}
    assert {"web_analytics_backfill_schedule", "orders_job_backfill_schedule"} <= names


def test_a_declaration_whose_job_is_not_served_is_refused() -> None:
    with pytest.raises(ValueError, match="orders_job"):
        location((*WEB_TABLES, ORDERS_BY_DAY), [web_pre_aggregated], [web_pre_aggregate_job])


@pytest.mark.parametrize("text", ["1; DROP TABLE events", "day -- x", "{day:Date}", "toDate(day", "$x", "", "a /* b"])
def test_an_expression_that_is_more_than_one_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no plain expression"):
        Expression(text)
