"""How teams, days and ages are said in a line.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.domain.days import merged
from dags.domain.text import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date, timedelta

# So many teams, and so many ranges of days, are named in a line; more are counted.
NAMED = 3

# So many characters of an error say what it is.
ERROR_CHARACTERS = 200


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


def age_in_words(age: timedelta) -> str:
    """How long ago, in the largest unit that it is two of: ``3 d``, ``26 h``, ``40 min``."""
    seconds = max(age.total_seconds(), 0)
    for size, unit in ((86_400, "d"), (3600, "h")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds // 60:.0f} min"


def listed(parts: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *first, last = [part for part in parts if part] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def launch(job: str, **config: object) -> str:
    """The command that runs a job, as it is typed.

    ``$(whoami)`` in a value is the shell's to fill in; other values must need no quotes in YAML within a shell's.
    """
    if not config:
        return f"dg launch --job {job}"
    fields = ", ".join(f"{name}: {value}" for name, value in config.items())
    return f'dg launch --job {job} -c <(echo "{{{fields}}}")'
