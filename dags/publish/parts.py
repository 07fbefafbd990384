"""How far a table's day was written, and how what it holds differs from what it should.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

_Amount = TypeVar("_Amount")


def differences(
    found: Mapping[int, _Amount], expected: Mapping[int, _Amount]
) -> dict[int, tuple[_Amount | None, _Amount | None]]:
    """The teams of which a table holds something else than it should, with what it holds and what it should."""
    return {
        team: (found.get(team), expected.get(team))
        for team in sorted({*found, *expected})
        if found.get(team) != expected.get(team)
    }


@dataclass(frozen=True)
class Part:
    """A ClickHouse part: the numbers of the first and last block that went into it, and of the last ALTER on it."""

    first: int
    last: int
    version: int


@dataclass(frozen=True)
class Written:
    """How far a table's day was written: its parts, how many ALTERs of its rows are under way, and which table it is.

    Whatever anybody writes gets the table's next number, and what is merged keeps those that it had. So a day whose
    numbers have not risen was not written, though its page views may be equal by chance. ``ever``: the highest block
    and version of all parts that are remembered, also of those that are gone. ``names`` are these parts, ``active`` the
    ones that readers have.
    """

    parts: tuple[Part, ...] = ()
    alters: int = 0
    uuid: str = ""
    ever: tuple[int, int] = (0, 0)
    names: tuple[str, ...] = ()
    active: tuple[str, ...] = ()

    @property
    def block(self) -> int:
        return max((part.last for part in self.parts), default=0)

    @property
    def version(self) -> int:
        return max((part.version for part in self.parts), default=0)


def written_since(before: Written, now: Written) -> str:
    """What was written into a day since it was looked at, in words; empty if nothing was."""
    if now.uuid != before.uuid:
        return "another table was put in its place"
    if now.block > before.block:
        return "rows were inserted"
    if now.version > before.version:
        return "rows were altered"
    if now.alters:
        # What is swapped in would be younger than the ALTER, which would pass it by.
        return f"{now.alters} ALTERs of it are under way, see system.mutations; KILL MUTATION ends one that hangs"
    return ""


def has_lost_parts(before: Written, now: Written) -> bool:
    """Whether a part is gone, and in none that was merged from it and others."""
    return any(not any(one.first <= part.first and part.last <= one.last for one in now.parts) for part in before.parts)
