"""In which order days are repaired when not all can be at once."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from dags.detection.rules import Cause, Kind, Verdict
from dags.detection.verdicts import Verdicts
from dags.domain.setting_values import Priority
from dags.domain.units import Measure, Unit
from dags.repair.priority import in_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FIRST = date(2026, 1, 1)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def missing(team: int, number: int, volume: int, *, interior: bool = False) -> Verdict:
    return Verdict(
        Unit("stats", team, day(number)),
        Kind.MISSING,
        Cause.ROWS_LOST,
        is_interior=interior,
        source=Measure(1, volume),
    )


def ordered(verdicts: Sequence[Verdict], priority: Priority, weights: Mapping[int, int] | None = None) -> list[int]:
    todo: dict[date, list[Verdict]] = {}
    for verdict in verdicts:
        todo.setdefault(verdict.unit.day, []).append(verdict)
    groups = {day: Verdicts.of(some).groups for day, some in todo.items()}
    return [(one - FIRST).days for one in in_order(groups, priority, weights or {})]


MIXED = [missing(1, 0, 500), missing(2, 1, 20), missing(3, 2, 90), missing(4, 3, 10, interior=True)]


def test_recent_days_come_first_whatever_they_hold() -> None:
    assert ordered(MIXED, Priority.RECENT) == [3, 2, 1, 0]


def test_by_volume_the_day_on_which_most_is_missing_comes_first() -> None:
    assert ordered(MIXED, Priority.VOLUME) == [0, 2, 1, 3]


def test_a_declared_weight_counts_as_so_much_more_volume() -> None:
    assert ordered(MIXED, Priority.VOLUME, {2: 10}) == [0, 1, 2, 3]


def test_what_the_table_holds_already_is_not_missing() -> None:
    partial = Verdict(Unit("stats", 9, day(4)), Kind.PARTIAL, source=Measure(9, 900), target=Measure(8, 895))
    assert ordered([*MIXED, partial], Priority.VOLUME)[-1] == 4


def test_interior_holes_come_before_all_that_is_missing_at_the_edges() -> None:
    assert ordered(MIXED, Priority.INTERIOR) == [3, 0, 2, 1]


def test_of_days_that_are_alike_the_newest_comes_first() -> None:
    assert ordered([missing(n, n, 5) for n in range(4)], Priority.VOLUME) == [3, 2, 1, 0]


def test_a_large_tenant_takes_its_turn_like_everybody() -> None:
    """With a cap of 3 days, seven large gaps of one team would leave the small teams out for ever."""
    large = [missing(1, n, 1000) for n in range(7)]
    small = [missing(2, 7, 1), missing(3, 8, 1)]
    assert set(ordered([*large, *small], Priority.VOLUME)[:3]) == {6, 7, 8}


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 8), st.integers(0, 50)), unique_by=lambda unit: unit[:2]),
    st.sampled_from(Priority),
)
def test_every_day_has_its_place_and_no_team_waits_for_anothers_second_turn(
    units: list[tuple[int, int, int]], priority: Priority
) -> None:
    verdicts = [missing(*unit) for unit in units]
    order = ordered(verdicts, priority)
    assert sorted(order) == sorted({number for _, number, _ in units})
    if priority is not Priority.RECENT:
        teams = {number: {team for team, of, _ in units if of == number} for number in order}
        served: set[int] = set()
        for number in order:
            waiting = {team for later in order[order.index(number) :] for team in teams[later]} - served
            assert not waiting or teams[number] & waiting
            served |= teams[number]
