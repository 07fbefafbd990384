"""What is compared with raw events each hour: in the long run everything, and what differed until it does no more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from dags.detection.rules import Kind
from dags.health.sampling import TEAMS, Unequal, days_in_turn, teams_of
from dags.tests.health.known import HOUR, NOW, ago, evaluated, missing
from dags.web_preaggregated.tables import BOUNCES, STATS

if TYPE_CHECKING:
    from dags.detection.detection import Detection

TABLES = (STATS, BOUNCES)


def found(*days: int) -> Detection:
    """Complete on these days, in one of the tables."""
    return replace(evaluated().detection, complete={(STATS.name, ago(day)): 5 for day in days})


def test_each_hour_takes_the_closed_days_that_have_something_complete_in_another_order() -> None:
    seen = found(1, 2, 3, 4, 5, 40)
    # Events of a day bear on the days beside it, so the last one that is over is open.
    assert set(days_in_turn(seen, TABLES, NOW, None)) == {ago(2), ago(3), ago(4), ago(5)}
    first = Counter(days_in_turn(seen, TABLES, NOW + hour * HOUR, None)[0] for hour in range(300))
    assert min(first[ago(day)] for day in (2, 3, 4, 5)) > 40
    assert days_in_turn(found(), TABLES, NOW, None) == ()


def test_within_an_hour_the_same_is_compared_and_over_the_days_every_team() -> None:
    seen, teams = found(3), range(1, 201)
    assert teams_of(teams, ago(3), seen, NOW, None) == teams_of(teams, ago(3), seen, NOW + timedelta(minutes=59), None)
    samples = [teams_of(teams, ago(3), seen, NOW + hour * HOUR, None) for hour in range(150)]
    assert {len(sample) for sample in samples} == {TEAMS}
    assert frozenset().union(*samples) == set(teams)


def test_what_differed_comes_first_until_it_is_equal_or_judged_no_more() -> None:
    last = Unequal(ago(9), frozenset({500, 501}))
    assert days_in_turn(found(3, 4), TABLES, NOW, last)[0] == ago(9)
    assert teams_of(range(1, 4), ago(9), found(3), NOW, last) == {1, 2, 3, 500, 501}
    assert teams_of(range(1, 4), ago(3), found(3), NOW, last) == {1, 2, 3}
    assert days_in_turn(found(3), TABLES, NOW, replace(last, day=ago(31))) == (ago(3),)


def test_what_is_known_to_be_wrong_or_is_waived_is_no_news() -> None:
    verdicts = [*missing(3, teams=[1]), replace(missing(3, teams=[2])[0], kind=Kind.WAIVED), *missing(4, teams=[3])]
    seen = evaluated(verdicts).detection
    last = Unequal(ago(3), frozenset({1, 9}))
    assert teams_of(range(1, 6), ago(3), seen, NOW, last) == {3, 4, 5, 9}


@pytest.mark.parametrize(
    "told",
    [{}, {"day": "2026-01-03"}, {"day": "2026-01-03", "unequal": {}}, {"day": "soon", "unequal": {"1": "x"}},
     {"day": "2026-01-03", "unequal": {"one": "x"}}, {"day": "2026-01-03", "unequal": 7}],
)  # fmt: skip
def test_a_result_that_says_nothing_of_what_differed_is_none(told: dict[str, object]) -> None:
    assert Unequal.of(told) is None
    assert Unequal.of({"day": "2026-01-03", "unequal": {"7": "x"}}) == Unequal(date(2026, 1, 3), frozenset({7}))
