"""The words that builds, the ledger and detection share about a unit: what it holds, from what, and what became of it.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import date

# Team ids are bound as one value, and a server takes 128 KiB of one (about 14,500 ids of seven digits, tried).
MAX_TEAMS_BOUND = 5_000

# Stands for every team of a day; no team has this id.
ALL_TEAMS = 0

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, order=True)
class Unit:
    """What is complete or not: one team's day in one table."""

    table: str
    team_id: int
    day: date


class Measure(NamedTuple):
    """What a unit holds, in its table or in its source: how many distinct things, and how often they occur.

    For web analytics these are sessions and page views. Distinct things are counted by ``uniq`` on both sides, whose
    merged states give the same number as their source, exactly. A tuple, because a detection compares millions.
    """

    distinct: int = 0
    total: int = 0

    def __bool__(self) -> bool:
        return self.distinct > 0 or self.total > 0

    def in_words(self, words: tuple[str, str]) -> str:
        """In the words of a declaration: ``4 sessions, 40 page views``."""
        return f"{self.distinct:,} {words[0]}, {self.total:,} {words[1]}"


@dataclass(frozen=True)
class Fingerprint:
    """Activity of a day and its neighbours; equal numbers mean that nothing has arrived in between.

    ``own_events`` are those of the day itself, where somebody has asked.
    """

    events: int = 0
    qualifying: int = 0
    newest: datetime = EPOCH
    own_events: int = field(default=0, compare=False)


class Outcome(StrEnum):
    """What a build, or a detection that verified a unit, left in the ledger."""

    BUILT = "built"
    EMPTY = "empty"
    HELD = "held"
    FAILED = "failed"
    SKIPPED = "skipped"
    VERIFIED = "verified"


def shrinks(before: Measure, after: Measure) -> bool:
    """Whether a rebuild would take away half of a unit or more.

    That is what an expired or half-loaded source looks like, and history must not be erased for it; a person who
    knows better allows it.
    """
    return before.distinct > 0 and after.distinct * 2 <= before.distinct
