"""How far a table's day was written, and how what it holds differs from what it should.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

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
    """A ClickHouse part: the numbers of the first and last block that went into it, and of the last ALTER on it.

    ``is_read``: whether readers have it, and it has rows.
    """

    name: str
    is_read: bool
    first: int
    last: int
    version: int

    @property
    def highest(self) -> int:
        return max(self.last, self.version)


@dataclass(frozen=True)
class Written:
    """How far a table's day was written: its parts, how many ALTERs of its rows are under way, and which table it is.

    Whatever anybody writes gets the table's next number, and what is merged keeps those that it had. So a day whose
    numbers have not risen was not written, though its page views may be equal by chance. ``parts`` are all that are
    remembered, also those that are gone. ``others`` is the highest number of the table's other days, where these share
    one row of numbers.
    """

    parts: tuple[Part, ...] = ()
    alters: int = 0
    uuid: str = ""
    others: int = 0

    @property
    def read(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.is_read)

    @property
    def block(self) -> int:
        return max((part.last for part in self.read), default=0)

    @property
    def version(self) -> int:
        return max((part.version for part in self.read), default=0)

    @property
    def highest(self) -> int:
        """The last of the numbers that are known to be taken."""
        return max([self.others, *(part.highest for part in self.parts)])


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


@dataclass(frozen=True)
class Remembered:
    """A part that ClickHouse remembers of a day, whether readers have it yet or not. ``contents``: a hash of it."""

    name: str
    is_active: bool
    rows: int
    first: int
    last: int
    level: int
    version: int
    contents: str


@dataclass(frozen=True)
class WentAlong:
    """What a swap took away that was not seen at the last look: parts, and their rows; none where rows were removed.

    ``forgotten`` counts parts of the old day that ClickHouse does not remember any more. It tells the old parts apart
    from what came between, but clears them away at once every half minute or so. ``is_unwritten`` then tells as well:
    no number was taken between the look and the swap, so nothing was written.
    """

    parts: int
    rows: int
    forgotten: int
    is_unwritten: bool


# A swap takes a number for what it removes, and the next for the first part that it brings.
_NUMBERS_OF_A_SWAP = 2


def went_along(looked: Written, now: Collection[Remembered], staged: Collection[str]) -> WentAlong:
    """What went along with a table's old day, from what is remembered right after the swap and from the staged parts'
    hashes, by which what itself swapped in, and swapped in again, is known.
    """
    known = {part.name for part in looked.parts}
    block = max((part.last for part in looked.parts), default=0)
    version = max((part.version for part in looked.parts), default=0)

    def is_strange(part: Remembered) -> bool:
        if part.rows:
            # One as it was inserted may have an older number: replicas take theirs before the part is there.
            return part.last > block or part.version > version or (part.level == 0 and part.version == part.first)
        # An ALTER has left it without a row; the one that the swap itself leaves is of no later version.
        return part.last <= block and part.version > version

    swapped_in = min((part.first for part in now if part.is_active and part.rows), default=0)
    gone = [part for part in now if not part.is_active and part.last < swapped_in]
    strange = [part for part in gone if part.name not in known and part.contents not in staged and is_strange(part)]
    return WentAlong(
        parts=len(strange),
        rows=sum(part.rows for part in strange),
        forgotten=len({part.name for part in looked.read} - {part.name for part in now}),
        is_unwritten=swapped_in == looked.highest + _NUMBERS_OF_A_SWAP,
    )


def has_lost_parts(before: Written, now: Written) -> bool:
    """Whether a part is gone, and in none that was merged from it and others."""
    return any(not any(one.first <= part.first and part.last <= one.last for one in now.read) for part in before.read)
