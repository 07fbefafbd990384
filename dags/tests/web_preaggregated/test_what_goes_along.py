"""What happens between the last look of a publish and its swap is said, and nobody's rows go in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dags.publish.batches import build_limits
from dags.publish.build import DayBuild
from dags.publish.moments import Moment
from dags.publish.path import Publisher
from dags.tests.world import STATS, ago
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from dags.publish.built import BuiltDay
    from dags.tests.world import World

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


@pytest.mark.parametrize("day", [DAY, ago(2)])
def test_an_old_day_that_was_cleared_away_is_unknown_where_something_wrote_the_table(
    world: World, monkeypatch: pytest.MonkeyPatch, day: date
) -> None:
    built_day = cleared_after_its_swap(world, monkeypatch, WRITTEN.replace(str(DAY), str(day)), [])
    assert "whether it wrote this day in the instant of the swap" in "".join(built_day.problems)


def cleared_after_its_swap(world: World, monkeypatch: pytest.MonkeyPatch, between: str, told: list[str]) -> BuiltDay:
    world.traffic([1], [DAY])
    world.select(1)
    world.built(DAY)
    swapped = Publisher._swap

    def cleared(itself: Publisher[object], *given: str) -> None:
        swapped(itself, *given)
        world.client.command(CLEARED)

    monkeypatch.setattr(Publisher, "_swap", cleared)
    return built(
        world,
        lambda step: world.client.command(between) if between and step is Moment.VALIDATED else None,
        tell=told,
    )
