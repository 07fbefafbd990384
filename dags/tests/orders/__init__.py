"""A third watched table, as a user would declare one: orders by day and account, with a team column of another name.

Nothing outside this folder knows it.
"""

from datetime import date, timedelta

from dagster import (
    AssetExecutionContext,
    DailyPartitionsDefinition,
    asset,
    define_asset_job,
    in_process_executor,
)

from dags.clickhouse.leases.store import Leases
from dags.clickhouse.sql import Sql
from dags.dagster_runs.resource import ClickHouseResource
from dags.dagster_runs.tags import BUILD_RUN
from dags.definitions import WATCHED, location
from dags.domain.expression import Expression
from dags.domain.watched import Source, WatchedTable
from dags.web_preaggregated.assets import web_pre_aggregate_job, web_pre_aggregated

ORDERS_BY_DAY = WatchedTable(
    "orders_by_day",
    Source(
        "orders",
        day=Expression("toDate(ordered_at)"),
        expected=Expression("count()"),
        newest=Expression("max(delivered_at)"),
        counts=("dags.tests.orders", "order_counts"),
        team_column="account_id",
    ),
    job="orders_job",
    day=Expression("day"),
    distinct=Expression("uniqMerge(customers)"),
    total=Expression("sum(orders)"),
    words=("customers", "orders"),
    team_column="account_id",
)


@asset(
    partitions_def=DailyPartitionsDefinition(start_date="2024-01-01"),
    deps=["web_analytics_team_selection"],
)
def orders_by_day(context: AssetExecutionContext, clickhouse: ClickHouseResource) -> None:
    """Orders and customers of a day, by account."""
    day = date.fromisoformat(context.partition_key)
    run_id = context.run.run_id
    with (
        clickhouse.client(run_id) as client,
        Leases(client, run_id, wait_seconds=60, tell=context.log.info) as leases,
    ):
        leases.take("orders_by_day", day)
        sql = Sql("dags.tests.orders", client)
        sql.command("empty_day", {"partition": int(f"{day:%Y%m%d}")})
        sql.command("build_orders", {"start": day, "end": day + timedelta(days=1)})


orders_job = define_asset_job("orders_job", [orders_by_day], executor_def=in_process_executor, tags=BUILD_RUN)

defs = location((*WATCHED, ORDERS_BY_DAY), [web_pre_aggregated, orders_by_day], [web_pre_aggregate_job, orders_job])
