"""How repairs have gone on several shards, as one."""

from __future__ import annotations

from dags.domain.days import start_of
from dags.metrics.recent import Builds, BuildsLately, BuildsTook, Gaps, Recent, added
from dags.tests.metrics.known import DAY, NEXT, READ_AT


def test_counts_and_times_add_up_and_of_what_does_not_the_worst_and_the_last_are_told() -> None:
    one = Recent(
        {"stats": BuildsLately(Builds(2, 1), READ_AT, "first")},
        {"stats": Gaps(1, 1, 2.0, 5.0), "bounces": Gaps(1, 0)},
        {(DAY, "stats"): BuildsTook(Builds(2, 1), 1.5, 10)},
    )
    other = Recent(
        {"stats": BuildsLately(Builds(1, 1, 1), start_of(NEXT), "earlier"), "bounces": BuildsLately(Builds(1))},
        {"stats": Gaps(2, 2, 3.0, 4.0)},
        {(DAY, "stats"): BuildsTook(Builds(1), 0.5, 5)},
    )
    assert added([one, other]) == Recent(
        {"stats": BuildsLately(Builds(3, 2, 1), READ_AT, "first"), "bounces": BuildsLately(Builds(1))},
        {"stats": Gaps(3, 3, 3.0, 5.0), "bounces": Gaps(1, 0)},
        {(DAY, "stats"): BuildsTook(Builds(3, 1), 2.0, 15)},
    )
    assert added([one]) == one
