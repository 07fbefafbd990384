"""What a build says of itself: of the day, and of each of its tables."""

from __future__ import annotations

from datetime import date

from dags.clickhouse.sql import Cost
from dags.publish.built import BuiltDay, BuiltTable


def test_what_went_wrong_is_told_of_its_table_and_of_no_other_whose_name_begins_alike() -> None:
    orders, by_day = (BuiltTable(name, {}, {}, 0, problems=(f"{name} is broken",)) for name in ("orders", "orders_x"))
    day = BuiltDay(date(2026, 1, 2), (orders, by_day), 0, Cost(), {"orders_y": "orders_y is a view"}, "teams left out")
    assert day.problems == ("orders_y is a view", "teams left out", "orders is broken", "orders_x is broken")
    assert day.problems_of("orders") == ("teams left out", "orders is broken")
    assert day.problems_of("orders_y") == ("orders_y is a view", "teams left out")
    assert BuiltDay(date(2026, 1, 2), (), 0, Cost()).problems == ()
