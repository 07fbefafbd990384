"""A third watched table, as a user would declare one: orders by day and account, with a team column of another name.

Nothing outside this folder knows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from dags.definitions import WATCHED, location, web_pre_aggregate_job, web_pre_aggregated
from dags.domain.expression import Expression
from dags.domain.units import Measure
from dags.domain.watched import Source, WatchedTable
from dags.web_preaggregated_backfill.building import build_job, built_assets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dags.domain.watched import Workbench

_PACKAGE = "dags.tests.orders"


@dataclass(frozen=True)
class OrdersBuilder:
    """Builds `orders_by_day` from `orders`."""

    op: str = "orders_by_day_op"

    def stage(self, bench: Workbench, day: date, tables: Sequence[str], teams: Sequence[int]) -> Mapping[int, Measure]:
        for table in tables:
            bound = {"day": day, "teams": list(teams)}
            bench.command(_PACKAGE, "build_orders", bound, staging=bench.staging(table))
        counted = bench.rows(_PACKAGE, "order_counts", {"days": [day] * len(teams), "teams": list(teams)})
        return {team: Measure(customers, orders) for _, team, customers, orders in counted}


ORDERS_BY_DAY = WatchedTable(
    "orders_by_day",
    Source(
        "orders",
        day=Expression("toDate(ordered_at)"),
        expected=Expression("count()"),
        newest=Expression("max(delivered_at)"),
        counts=(_PACKAGE, "order_counts"),
        team_column="account_id",
    ),
    job="orders_job",
    first_day=date(2025, 1, 1),
    day=Expression("day"),
    distinct=Expression("uniqMerge(customers)"),
    total=Expression("sum(orders)"),
    words=("customers", "orders"),
    row_distinct=Expression("finalizeAggregation(customers)"),
    row_total=Expression("orders"),
    team_column="account_id",
    builder=OrdersBuilder(),
    description="Orders and customers of a day, by account.",
)
ORDERS = (ORDERS_BY_DAY,)

orders_by_day = built_assets(ORDERS)
orders_job = build_job(ORDERS)

defs = location((*WATCHED, *ORDERS), [web_pre_aggregated, orders_by_day], [web_pre_aggregate_job, orders_job])
