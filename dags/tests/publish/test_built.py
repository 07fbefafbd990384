"""What a build says of itself: of the day, and of each of its tables."""

from __future__ import annotations

from datetime import date

from dags.clickhouse.sql import Cost
from dags.domain.units import Outcome
from dags.publish.batches import Batch
from dags.publish.built import BuiltDay, BuiltTable, SourceRead
from dags.publish.computing import Computed, Staged

NOTHING = SourceRead(0, 0, Cost())


def test_what_went_wrong_is_told_of_its_table_and_of_no_other_whose_name_begins_alike() -> None:
    orders, by_day = (
        BuiltTable(name, {7: outcome}, {}, 0, problems=(f"{name} is broken",))
        for name, outcome in (("orders", Outcome.SKIPPED), ("orders_x", Outcome.BUILT))
    )
    not_begun = {"orders_y": "orders_y is a view"}
    day = BuiltDay(date(2026, 1, 2), (orders, by_day), NOTHING, Cost(), not_begun, "teams left out")
    assert day.problems == ("orders_y is a view", "teams left out", "orders is broken", "orders_x is broken")
    assert day.problems_of("orders") == ("teams left out", "orders is broken")
    assert day.problems_of("orders_x") == ("orders_x is broken",)  # none of its teams was left out
    assert day.problems_of("orders_y") == ("orders_y is a view",)
    assert BuiltDay(date(2026, 1, 2), (), NOTHING, Cost()).problems == ()


def test_rows_that_count_on_no_day_are_those_of_each_team_once_in_however_many_batches_it_was_staged() -> None:
    computed = Computed(
        (
            Staged(Batch(("orders", "orders_x"), (1, 2)), {}, {}, {"late": {1: 5, 2: 1}}),
            Staged(Batch(("orders",), (3,)), {}, {}, {"late": {3: 7}, "early": {}}),
            Staged(Batch(("orders_x",), (3,)), {}, {}, {"late": {3: 7}, "lost": {3: 2}}),
        )
    )
    assert computed.uncounted() == {"late": 13, "lost": 2}
