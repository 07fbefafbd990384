"""How far a table's day was written, and how what it holds differs from what it should.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
    remembered, also those that are gone, and those in which a light UPDATE changes rows of others. ``others`` is the
    highest number of the table's other days; where it ``shares_numbers``, all days take them from one row.
    """

    parts: tuple[Part, ...] = ()
    alters: int = 0
    uuid: str = ""
    others: int = 0
    shares_numbers: bool = True

    @property
    def read(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.is_read)

    @property
    def block(self) -> int:
        return max((part.last for part in self.read), default=0)

    @property
    def highest(self) -> int:
        """The last of the numbers that are known to be taken."""
        # Of a replicated table each day counts by itself, from 0.
        return max([self.others if self.shares_numbers else -1, *(part.highest for part in self.parts)])


def written_since(before: Written, now: Written) -> str:
    """What was written into a day since it was looked at, in words; empty if nothing was."""
    if now.uuid != before.uuid:
        return "another table was put in its place"
    if now.block > before.block:
        return "rows were inserted"
    if any(_is_altered(part, before.read) for part in now.read):
        return "rows were altered"
    if now.alters:
        # What is swapped in would be younger than the ALTER, which would pass it by.
        return f"{now.alters} ALTERs of it are under way, see system.mutations; KILL MUTATION ends one that hangs"
    return ""


def _is_altered(now: Part, before: Iterable[Part]) -> bool:
    """Whether an ALTER went through some rows of a part since: it is as late as one that parts it was made of were not.

    Asked of each by itself. An ALTER may be through with one part of a day earlier than with another, and takes no
    number that is higher than those of the parts that were written after it.
    """
    made_of = (part for part in before if now.first <= part.first and part.last <= now.last)
    return any(part.version < now.version and part.last < now.version for part in made_of)


@dataclass(frozen=True)
class Remembered:
    """A part that ClickHouse remembers, whether readers have it yet or not. ``contents``: a hash of it."""

    name: str
    is_active: bool
    rows: int
    first: int
    last: int
    level: int
    version: int
    contents: str

    @property
    def is_patch(self) -> bool:
        """Whether it holds what a light UPDATE changes of other parts, which a swap leaves where it is."""
        return self.name.startswith("patch-")


@dataclass(frozen=True)
class Memory:
    """What ClickHouse remembers right after a swap: of the ``day``; of the ``staged`` parts the contents, by which what
    itself swapped in, and swapped in again, is known; what ``others`` of the table's days took numbers for since the
    last look; and which table it is. ``moved``: how many parts were swapped in.
    """

    day: tuple[Remembered, ...]
    staged: frozenset[str]
    others: tuple[Remembered, ...]
    uuid: str
    moved: int = 0

    @property
    def has_staged(self) -> bool:
        """Whether readers have all staged parts, as they have after a swap of which the answer was lost."""
        return bool(self.staged) and self.staged <= {part.contents for part in self.day if part.is_active}


@dataclass(frozen=True)
class WentAlong:
    """What a swap took away that was not seen at the last look: parts, and their rows; none where rows were removed.

    ``forgotten`` counts parts of the old day that ClickHouse does not remember any more. It tells the old parts apart
    from what came between, but clears them away at once every half minute or so. ``is_unwritten`` then tells as well:
    every number that was taken between the look and the swap is explained by a part of another day.
    """

    parts: int
    rows: int
    forgotten: int
    is_unwritten: bool


# So many numbers are looked through; more than that were not taken within milliseconds.
_MOST_NUMBERS = 10_000


def went_along(looked: Written, now: Memory) -> WentAlong:
    """What went along with a table's old day, from what is remembered right after the swap."""
    known = {part.name for part in looked.parts}
    block = max((part.last for part in looked.parts), default=0)
    version = max((part.version for part in looked.parts), default=0)
    swapped_in = min((part.first for part in now.day if part.is_active and part.rows and not part.is_patch), default=0)

    def is_strange(part: Remembered) -> bool:
        if part.name in known or part.contents in now.staged:
            return False
        if part.is_patch:
            return part.last > block
        if part.is_active or part.last >= swapped_in:
            return False
        if part.rows:
            # One as it was inserted may have an older number: replicas take theirs before the part is there.
            return part.last > block or part.version > version or (part.level == 0 and part.version == part.first)
        # An ALTER has left it without a row; the one that the swap itself leaves is of no later version.
        return part.last <= block and part.version > version

    strange = list(filter(is_strange, now.day))
    # A swap takes one number for what it removes, and the next for the first part that it brings.
    between = range(looked.highest + 1, swapped_in - 1)
    return WentAlong(
        parts=len(strange),
        rows=sum(part.rows for part in strange),
        forgotten=len({part.name for part in looked.read} - {part.name for part in now.day}),
        is_unwritten=swapped_in > looked.shares_numbers
        and len(between) < _MOST_NUMBERS
        and _are_explained(between, looked, now),
    )


def _are_explained(numbers: Sequence[int], looked: Written, now: Memory) -> bool:
    """Whether other days took these numbers: for a part, for an ALTER of it, or for what a swap of theirs removed.

    A day of a replicated table has numbers of its own. Its swap takes one for what it removes and one for each part
    that it brings, and takes all of them anew where another day of the table is swapped in that instant.
    """
    if not looked.shares_numbers:
        return len(numbers) % (now.moved + 1) == 0
    taken = {number for part in now.others for number in (part.first, part.last, part.version)}
    brought = {part.first for part in now.others}
    return all(number in taken or number + 1 in brought for number in numbers)


def has_other_parts(before: Written, now: Written) -> bool:
    """Whether the parts that readers have are others, though nothing was written: by a merge, which may remove rows as
    well (DEDUPLICATE, a TTL, deleted ones), or by a removal. Only the rows tell.
    """
    return {part.name for part in before.read} != {part.name for part in now.read}
