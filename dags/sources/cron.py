"""Whether a text is a schedule that comes: five fields of cron, as the declaration of sources takes them.

A narrow reading, which every cron agrees with: numbers, ``*``, lists, ranges and steps. What is accepted here is a
schedule to Dagster too; what is not might be, and is refused before the location loads a schedule that never comes.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re

# Minute, hour, day of the month, month, day of the week (0 and 7 are Sunday).
_LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))

_DAYS_AT_MOST = dict(enumerate((31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), 1))

_ITEM = re.compile(r"(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([0-9]{1,2}))?")


def is_cron(text: str) -> bool:
    """Whether a text is five fields of cron, and one of its months has one of its days."""
    fields = text.split(" ")
    if len(fields) != len(_LIMITS):
        return False
    named = [_values(field, *limits) for field, limits in zip(fields, _LIMITS, strict=True)]
    if not all(named):
        return False
    _, _, days, months, _ = named
    # Where the days are of the week the schedule would come even so, but Dagster takes none with a 31 February.
    return any(day <= _DAYS_AT_MOST[month] for month in months for day in days)


def _values(field: str, lowest: int, highest: int) -> set[int]:
    """The numbers that a field names; none where it cannot be read."""
    named: set[int] = set()
    for item in field.split(","):
        found = _ITEM.fullmatch(item)
        if found is None:
            return set()
        first, last, step = (None if one is None else int(one) for one in found.groups())
        # A step over a single number is read in different ways.
        if step == 0 or (step is not None and first is not None and last is None):
            return set()
        start = lowest if first is None else first
        end = highest if first is None else start if last is None else last
        if not lowest <= start <= end <= highest:
            return set()
        named.update(range(start, end + 1, step or 1))
    return named
