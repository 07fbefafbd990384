"""How far a range is, and when it has ended."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from dags.file_ingestion.ranges import TRIES, progress_of
from dags.file_ingestion.versions import Days, FileEvent, FileVersion, Known, Schema

AT = datetime(2026, 6, 1, tzinfo=UTC)
UNTIL = date(2026, 1, 31)
DAYS = Days(date(2026, 1, 1), UNTIL)


def known(event: FileEvent, *, failed: int = 0, schema: int = 2, day: str = "2026-01-05") -> Known:
    return Known(FileVersion(f"{day}/a", 10, 0), event, failed, AT, schema=schema)


@pytest.mark.parametrize(
    ("one", "is_left"),
    [
        (known(FileEvent.SUCCESS), False),
        (known(FileEvent.SUCCESS, schema=1), True),
        (known(FileEvent.SKIPPED, schema=0), False),
        (known(FileEvent.REMOVED), False),
        (known(FileEvent.DISCOVERED), True),
        (known(FileEvent.PROCESSING), True),
        (known(FileEvent.CLEARED), True),
        (known(FileEvent.FAILED, failed=TRIES - 1), True),
        (known(FileEvent.FAILED, failed=TRIES), False),
        (known(FileEvent.FAILED, failed=TRIES, schema=1), True),
        (known(FileEvent.DISCOVERED, day="2026-02-01"), False),
    ],
)
def test_a_range_is_over_when_nothing_of_it_is_left_and_its_last_day_is_past(one: Known, *, is_left: bool) -> None:
    done = known(FileEvent.SUCCESS)
    reached = progress_of({"a": one, "b": done}, DAYS, Schema(2, 2, 1))
    assert bool(reached.left) is is_left
    assert reached.is_over(UNTIL, date(2026, 2, 1)) is not is_left
    assert not reached.is_over(UNTIL, UNTIL)
    assert reached.percent == (50.0 if is_left else 100.0)


def test_a_range_of_which_no_file_is_known_is_not_over() -> None:
    assert not progress_of({}, DAYS, Schema()).is_over(UNTIL, date(2026, 6, 1))
