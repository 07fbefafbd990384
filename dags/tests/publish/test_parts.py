"""Of a replicated table, numbers alone tell whether something was written in the instant of a swap."""

from __future__ import annotations

import pytest

from dags.publish.parts import Memory, Part, Remembered, Written, went_along

LOOKED = Written((Part("20260110_0_4_2", is_read=True, first=0, last=4, version=0),), shares_numbers=False)


def swapped_in(first: int, moved: int = 1) -> Memory:
    """Right after a swap that brought parts from this number on; what was there is cleared away at once."""
    day = tuple(Remembered(f"p{n}", True, 9, n, n, 0, n, f"hash {n}") for n in range(first, first + moved))
    return Memory(day, frozenset(part.contents for part in day), (), "uuid", moved)


def test_a_swap_takes_a_number_for_what_it_removes_and_one_for_each_part_that_it_brings() -> None:
    for moved in (1, 2, 5):
        along = went_along(LOOKED, swapped_in(6, moved))
        assert (along.parts, along.forgotten, along.is_unwritten) == (0, 1, True)


@pytest.mark.parametrize("moved", [1, 2, 5])
def test_a_swap_that_takes_its_numbers_anew_because_another_day_is_swapped_is_no_write_of_anybody(moved: int) -> None:
    for attempts in (1, 2, 3):
        assert went_along(LOOKED, swapped_in(6 + attempts * (moved + 1), moved)).is_unwritten


@pytest.mark.parametrize("moved", [1, 2, 5])
def test_a_number_that_no_attempt_of_the_swap_explains_may_be_somebodys_rows(moved: int) -> None:
    for more in range(1, moved + 1):
        assert not went_along(LOOKED, swapped_in(6 + more, moved)).is_unwritten


def test_of_a_day_that_was_never_written_the_first_number_is_0() -> None:
    never = Written((), shares_numbers=False)
    assert went_along(never, swapped_in(1)).is_unwritten
    assert not went_along(never, swapped_in(2)).is_unwritten
