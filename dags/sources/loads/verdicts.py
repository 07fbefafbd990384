"""What is found of a load: rows that no reader may see, how much has landed, and what of it is in the target.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from dags.domain.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from dags.sources.loads.shape import Check


# Between two groups is heard what people ask. Each day takes some 20 ms to be attached.
DAYS = 100


@dataclass(frozen=True)
class Finding:
    """Rows of a load that a check refuses, and the keys of some of them in their source."""

    words: str
    rows: int
    keys: tuple[str, ...]

    def __str__(self) -> str:
        more = ", …" if self.rows > len(self.keys) else ""
        return f"{counted(self.rows, 'row')}: {self.words} (key {', '.join(self.keys)}{more})"


def findings(checks: Sequence[Check], counts: Sequence[tuple[int, Sequence[str]]]) -> tuple[Finding, ...]:
    """What the checks have found, of the rows and keys that were counted for each."""
    pairs = zip(checks, counts, strict=True)
    return tuple(Finding(check.words, rows, tuple(sorted(keys))) for check, (rows, keys) in pairs if rows)


@dataclass(frozen=True)
class Checkpoint:
    """How much of a part of the source has landed: its last batch, the key up to which that goes, rows in all, and how
    many batches landed more than once.
    """

    batch: int = 0
    until: str = ""
    rows: int = 0
    again: int = 0


def landed_wrong(whole: Mapping[int, int], checkpoints: Mapping[int, Checkpoint]) -> tuple[str, ...]:
    """In words, what is not there as it landed. ``whole``: parts that have landed whole, with their rows."""
    found = []
    for part, rows in sorted(whole.items()):
        there = checkpoints.get(part, Checkpoint()).rows
        if there != rows:
            found.append(f"of range {part} {counted(rows, 'row')} had landed and {there:,} are there")
    for part, checkpoint in sorted(checkpoints.items()):
        if checkpoint.again:
            found.append(f"of range {part} {counted(checkpoint.again, 'batch')} landed twice")
    return tuple(found)


@dataclass(frozen=True)
class Group:
    """Days that are staged together, each with its rows."""

    rows_by_day: Mapping[date, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(self.rows_by_day.values())


def groups(rows_by_day: Mapping[date, int], at_once: int) -> tuple[Group, ...]:
    """Days in their order, so many rows and `DAYS` together at most; a day that has more rows is alone."""
    found: list[dict[date, int]] = []
    for day, rows in sorted(rows_by_day.items()):
        if not found or len(found[-1]) == DAYS or sum(found[-1].values()) + rows > at_once:
            found.append({})
        found[-1][day] = rows
    return tuple(map(Group, found))


class Presence(StrEnum):
    """How much of what a load brings to a day is in the target."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


def presence(expected: int, found: int) -> Presence:
    """More than all counts as some: what is there is not what has landed."""
    if not found:
        return Presence.NONE
    return Presence.ALL if found == expected else Presence.SOME
