"""How much of a piece of work is done, and how long the rest takes."""

from __future__ import annotations

from dags.work.plan import Estimate
from dags.work.progress import time_left


def test_time_left_is_the_estimate_corrected_by_how_wrong_it_was() -> None:
    part = Estimate(rows=0, bytes=0, seconds=10.0, usd=0.0)
    assert time_left(part, part, 30.0) == 30.0
    assert time_left(part, part.model_copy(update={"seconds": 0.0}), 5.0) == 10.0
