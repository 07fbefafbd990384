"""The gates: what each measures, and where it fails."""

from __future__ import annotations

from datetime import date

import pytest

from dags.managed_backfill.gates import Spread, distribution, every_chunk_succeeded, no_nulls, row_counts

USUAL = [Spread(rows=100 + n, total=1000, expected=1000) for n in range(10)]
DAY, NEXT = date(2026, 1, 5), date(2026, 1, 6)


@pytest.mark.parametrize("traffic", [1, 50])
def test_a_busy_day_is_as_usual_when_it_is_spread_as_usual(traffic: int) -> None:
    assert distribution(Spread(104 * traffic, 1000 * traffic, 1000 * traffic), USUAL).is_passed


@pytest.mark.parametrize(
    ("spread", "says"),
    [
        (Spread(10, 1000, 1000), "rows per page view 0.01, median of 10 days 0.104"),
        (Spread(1000, 1000, 1000), "rows per page view 1, median"),
        (Spread(104, 1000, 2500), "page views per one of the source 0.4, median of 10 days 1"),
    ],
)
def test_a_lost_a_multiplied_dimension_and_another_count_fail(spread: Spread, says: str) -> None:
    gate = distribution(spread, USUAL)
    assert not gate.is_passed
    assert says in gate.measured


def test_a_lively_table_may_double_but_an_even_one_may_not() -> None:
    lively = [Spread(rows=rows, total=1000, expected=0) for rows in (50, 150, 250, 60, 140, 240, 100, 110)]
    assert distribution(Spread(260, 1000, 0), lively).is_passed
    assert not distribution(Spread(260, 1000, 0), USUAL).is_passed


def test_a_day_that_moves_by_less_than_the_factor_is_no_failure_in_a_table_that_never_moves() -> None:
    even = [Spread(rows=100, total=1000, expected=1000)] * 8
    assert distribution(Spread(199, 1000, 1000), even).is_passed
    assert not distribution(Spread(201, 1000, 1000), even).is_passed


def test_with_too_few_days_to_compare_nothing_is_judged_and_it_says_so() -> None:
    gate = distribution(Spread(1000, 1000, 1000), [*USUAL[:6], *[Spread()] * 20])
    assert gate.is_passed
    assert "not judged: 6 of 7 days to compare with" in gate.measured


WORDS = ("sessions", "page views")


def test_no_row_may_be_of_no_team_or_hold_nothing() -> None:
    assert no_nulls(0, 0, 0, words=WORDS).is_passed
    assert not no_nulls(1, 0, 0, words=WORDS).is_passed
    assert "2 without page views" in no_nulls(0, 0, 2, words=WORDS).measured


def test_row_counts_judge_what_was_published_but_not_what_others_built_since() -> None:
    assert row_counts({DAY: 5, NEXT: 7}, {DAY: 5, NEXT: 7}, []).is_passed
    gate = row_counts({DAY: 5, NEXT: 6}, {DAY: 5, NEXT: 7}, [])
    assert not gate.is_passed
    assert "2026-01-06 differ" in gate.measured
    assert row_counts({DAY: 5, NEXT: 6}, {DAY: 5, NEXT: 7}, [NEXT]).is_passed


def test_a_chunk_that_failed_is_named_with_its_error() -> None:
    assert every_chunk_succeeded({}, 3).measured == "all 3 chunks are done"
    assert every_chunk_succeeded({2: "disk full"}, 3).measured == "chunk 2: disk full"
