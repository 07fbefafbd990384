"""How many teams, days and things are said in a line: few by name, more by their number.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.domain.days import merged
from dags.domain.text import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date

# So many teams, and so many ranges of days, are named in a line; more are counted.
NAMED = 3


def teams_in_words(teams: Collection[int]) -> str:
    """``team 7``, ``teams 7, 8``, ``1,204 teams``."""
    if len(teams) == 1:
        return f"team {next(iter(teams))}"
    if len(teams) <= NAMED:
        return f"teams {', '.join(map(str, sorted(teams)))}"
    return counted(len(teams), "team")


def days_in_words(days: Iterable[date]) -> str:
    """Days in ranges, the newest first, as many as fit a line; the rest is counted."""
    ranges = merged(days)[::-1]
    more = sum(map(len, ranges[NAMED:]))
    said = ", ".join(map(str, ranges[:NAMED]))
    return f"{said} and {counted(more, 'more day')}" if more else said


def listed(parts: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *first, last = [part for part in parts if part] or [""]
    return f"{', '.join(first)} and {last}" if first else last
