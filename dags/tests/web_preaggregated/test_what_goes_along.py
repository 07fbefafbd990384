"""What happens between the last look of a publish and its swap is said, and nobody's rows go in silence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from clickhouse_connect.driver.exceptions import OperationalError

from dags.clickhouse.sql import Sql
from dags.publish.batches import build_limits
from dags.publish.build import DayBuild
from dags.publish.moments import Moment
from dags.publish.path import Publisher
from dags.tests.runbook import symptom
from dags.tests.variants import embedded_at_night
from dags.tests.world import STATS, ago
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from dags.publish.built import BuiltDay
    from dags.tests.world import World

pytestmark = embedded_at_night

DAY = ago(1)
PARTITION = f"{DAY:%Y%m%d}"
WRITTEN = (
    f"INSERT INTO {STATS} (period_bucket, team_id, sessions_uniq_state, pageviews_count_state) "
    f"SELECT '{DAY} 12:00:00', 2, uniqState('z'), sumState(toUInt64(5))"
)


def built(
    world: World, act: Callable[[Moment], object], *, allow_shrink: bool = False, tell: list[str] | None = None
) -> BuiltDay:
    def at(step: Moment) -> None:
        act(step)

    return DayBuild(
        client=world.client,
        day=DAY,
        teams_by_table={STATS: {1}},
        tables=WEB_TABLES,
        run_id="r",
        limits=build_limits(world.settings),
        allow_shrink=allow_shrink,
        at=at,
        progress=print if tell is None else tell.append,
    ).run()


def teams(world: World) -> list[int]:
    return [team for (team,) in world.client.query(f"SELECT DISTINCT team_id FROM {STATS} ORDER BY 1").result_rows]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (f"ALTER TABLE {STATS} DELETE WHERE team_id = 2 SETTINGS mutations_sync = 2", "removed"),
        (f"EXCHANGE TABLES {STATS} AND other", "published into another table"),
    ],
)
def test_a_removal_or_an_exchange_in_the_instant_of_a_swap_is_said(world: World, change: str, text: str) -> None:
    world.traffic([1], [DAY])
    world.select(1, 2)
    world.built(DAY)
    world.client.command(WRITTEN)
    world.client.command(f"CREATE TABLE other AS {STATS}")
    try:
        found = built(world, lambda step: world.client.command(change) if step is Moment.VALIDATED else None)
        assert text in "".join(found.problems)
    finally:
        world.client.command("DROP TABLE other SYNC")


def test_rows_that_were_moved_out_with_an_emptied_day_come_back_when_the_run_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.traffic([1], [DAY])
    world.select(1, 2)
    world.built(DAY)
    world.client.command("TRUNCATE TABLE events")
    amounts = Publisher._amounts

    def ended(itself: Publisher[object], name: str) -> dict[int, object]:
        if "emptied" in name:
            raise SystemExit
        return amounts(itself, name)

    with monkeypatch.context() as ending:
        ending.setattr(Publisher, "_amounts", ended)
        with pytest.raises(SystemExit):
            built(
                world,
                lambda step: world.client.command(WRITTEN) if step is Moment.VALIDATED else None,
                allow_shrink=True,
            )
    assert teams(world) == [1, 2]
    assert not built(world, lambda _: None, allow_shrink=True).problems
    assert teams(world) == [2]


CLEARED = f"ALTER TABLE {STATS} DROP PARTITION 19990101"  # with it, whatever was removed before goes at once


@pytest.mark.parametrize("between", ["", f"ALTER TABLE {STATS} DROP PARTITION {PARTITION}"])
def test_an_old_day_that_was_cleared_away_lost_nothing_where_no_number_was_taken(
    world: World, monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    told: list[str] = []
    day = cleared_after_its_swap(world, monkeypatch, between, told)
    assert not day.problems
    assert [words for words in told if "nothing was written into the old day before the swap" in words]


def test_an_old_day_that_was_cleared_away_is_unknown_where_a_number_was_taken_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = cleared_after_its_swap(world, monkeypatch, WRITTEN, [])
    assert "something wrote this day in the instant of the swap" in "".join(day.problems)
    assert symptom("went with the old day").search("".join(day.problems))


def test_a_number_that_another_day_took_is_no_sign_of_a_write(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    assert not cleared_after_its_swap(world, monkeypatch, WRITTEN.replace(str(DAY), str(ago(2))), told).problems
    assert [words for words in told if "nothing was written into the old day before the swap" in words]


def test_of_a_day_without_rows_it_is_told_that_a_number_was_taken_which_no_part_explains(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    assert not cleared_after_its_swap(world, monkeypatch, WRITTEN, told, is_built=False).problems
    assert [words for words in told if "whether something wrote this day in the instant of the swap" in words]


def cleared_after_its_swap(
    world: World, monkeypatch: pytest.MonkeyPatch, between: str, told: list[str], *, is_built: bool = True
) -> BuiltDay:
    world.traffic([1], [DAY])
    world.select(1)
    if is_built:
        world.built(DAY)
    swapped = Publisher._swap

    def cleared(itself: Publisher[object], *given: Any) -> None:
        swapped(itself, *given)
        world.client.command(CLEARED)

    monkeypatch.setattr(Publisher, "_swap", cleared)
    return built(
        world,
        lambda step: world.client.command(between) if between and step is Moment.VALIDATED else None,
        tell=told,
    )


LIGHT = {"allow_experimental_lightweight_update": 1, "enable_lightweight_update": 1}
LIGHT_DELETE = {**LIGHT, "lightweight_delete_mode": "lightweight_update_force"}


@pytest.mark.parametrize(
    ("change", "settings"),
    [
        (f"UPDATE {STATS} SET pathname = '/patched' WHERE team_id = 2", LIGHT),
        (f"DELETE FROM {STATS} WHERE team_id = 2", LIGHT_DELETE),
        (f"OPTIMIZE TABLE {STATS} PARTITION {PARTITION} FINAL DEDUPLICATE", {}),
    ],
)
def test_a_change_that_moves_no_part_of_the_day_keeps_it_from_being_swapped_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch, change: str, settings: dict[str, object]
) -> None:
    plain(world)
    world.traffic([1], [DAY])
    world.select(1)
    world.built(DAY)
    for _ in range(2):
        world.client.command(WRITTEN, settings={"insert_deduplicate": 0})
    compare, changed = Publisher._compare, list[object]()

    def compared(itself: Publisher[object], *given: Any) -> None:
        compare(itself, *given)
        if not changed:
            world.client.command(change, settings=settings)
            changed.append(rows(world))

    monkeypatch.setattr(Publisher, "_compare", compared)
    told: list[str] = []
    built(world, lambda _: None, tell=told)
    # The next attempt takes it in, or ClickHouse refuses to attach parts beside which a patch lies.
    assert [*filter(symptom("something else wrote that day").search, told)]
    assert rows(world) == changed[0]


def plain(world: World) -> None:
    """Make the table one that light updates and deduplication know: a plain MergeTree."""
    made = str(world.client.query(f"SHOW CREATE TABLE {STATS}").result_rows[0][0])
    made = made.replace("ENGINE = AggregatingMergeTree", "ENGINE = MergeTree")
    made = re.sub(r"(PRIMARY KEY \([^)]*\)\s*)?ORDER BY \([^)]*\)", "ORDER BY (team_id, period_bucket)", made)
    made = re.sub(r"allow_dimensions_outside_sorting_key = \d,? ?", "", made)
    made += ", enable_block_number_column = 1, enable_block_offset_column = 1"
    world.client.command(f"DROP TABLE {STATS} SYNC")
    world.client.command(made)


def rows(world: World) -> list[object]:
    """The other team's rows, as readers see them."""
    sql = f"SELECT pathname, finalizeAggregation(pageviews_count_state) FROM {STATS} WHERE team_id = 2 ORDER BY 1, 2"
    return list(world.client.query(sql).result_rows)


def test_a_swap_of_which_the_answer_was_lost_is_not_done_again_over_what_others_wrote_since(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.traffic([1], [DAY])
    world.select(1)
    world.built(DAY)
    command, lost = Sql.command, list[str]()

    def answered(itself: Sql, name: str, *given: Any, **named: Any) -> object:
        done = command(itself, name, *given, **named)
        if name == "publish_day" and not lost:
            lost.append(name)
            world.client.command(WRITTEN)
            raise OperationalError("the answer was lost")
        return done

    monkeypatch.setattr(Sql, "command", answered)
    assert not built(world, lambda _: None).problems
    assert teams(world) == [1, 2]
