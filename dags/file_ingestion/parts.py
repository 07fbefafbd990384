"""What a pattern is made of: each part as a regular expression, and by itself where in a path it may end.

Twice, for two readers. ClickHouse has RE2, whose time grows with a path's length alone. Python's engine goes back and
tries again, for hours where a pattern has ten stars: here the places where a part may end are one set, so nothing is
tried twice. That both mean the same is for the tests to show.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from os.path import commonprefix
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Star:
    """``*``."""

    regex: str = "[^/]*"

    def ends(self, path: str, starts: set[int]) -> set[int]:
        found: set[int] = set()
        for start in sorted(starts):
            if start not in found:  # else an earlier one has come by here, and went on to the segment's end
                slash = path.find("/", start)
                found.update(range(start, (len(path) if slash < 0 else slash) + 1))
        return found


@dataclass(frozen=True)
class Deep:
    """``**/``."""

    regex: str = "(?:.*/)?"

    def ends(self, path: str, starts: set[int]) -> set[int]:
        first = min(starts)
        return starts | {at + 1 for at in range(first, len(path)) if path[at] == "/"}


@dataclass(frozen=True)
class Below:
    """``**`` at the end."""

    regex: str = ".*"

    def ends(self, path: str, _starts: set[int]) -> set[int]:
        return {len(path)}


@dataclass(frozen=True)
class Class:
    """``[…]``, and ``?`` as what is no character of none: first and last characters of ranges."""

    ranges: tuple[tuple[str, str], ...]
    is_negated: bool

    @property
    def regex(self) -> str:
        if self.is_negated:
            return f"[^/{''.join(map(_span, self.ranges))}]"
        # Neither engine can take a character out of a class again: a range is split where it holds the slash.
        split = [
            part
            for first, last in self.ranges
            for part in (((first, "."), ("0", last)) if first < "/" < last else ((first, last),))
        ]
        return f"[{''.join(map(_span, split))}]"

    def ends(self, path: str, starts: set[int]) -> set[int]:
        return {start + 1 for start in starts if start < len(path) and self._has(path[start])}

    def _has(self, character: str) -> bool:
        is_named = any(first <= character <= last for first, last in self.ranges)
        return character != "/" and is_named != self.is_negated


@dataclass(frozen=True)
class Numbers:
    """``{1..9}``: ``width`` is 0 where no zeros stand in front."""

    low: int
    high: int
    width: int

    @property
    def regex(self) -> str:
        return _one_of(
            _between(
                str(max(self.low, 0 if self.width or size == 1 else 10 ** (size - 1))).zfill(size),
                str(min(self.high, 10**size - 1)).zfill(size),
            )
            for size in self._sizes()
        )

    def ends(self, path: str, starts: set[int]) -> set[int]:
        return {start + size for start in starts for size in self._sizes() if self._has(path[start : start + size])}

    def _sizes(self) -> range:
        return range(max(self.width, len(str(self.low))), max(self.width, len(str(self.high))) + 1)

    def _has(self, digits: str) -> bool:
        is_number = digits.isdecimal() and self.low <= int(digits) <= self.high
        return is_number and str(int(digits)).zfill(self.width) == digits


@dataclass(frozen=True)
class Choice:
    """``{a,b}``."""

    of: tuple[tuple[Part, ...], ...]

    @property
    def regex(self) -> str:
        return _one_of(map(regex_of, self.of))

    def ends(self, path: str, starts: set[int]) -> set[int]:
        return {end for parts in self.of for end in ends_of(parts, path, starts)}


# A text is literal: a single slash, or characters that are none.
Part = str | Star | Deep | Below | Class | Numbers | Choice


def segments_of(parts: Iterable[Part]) -> list[tuple[Part, ...]]:
    """What stands between the slashes; two stars are in one with what follows them."""
    segments: list[tuple[Part, ...]] = [()]
    for part in parts:
        if part == "/":
            segments.append(())
        else:
            segments[-1] += (part,)
    return segments


def regex_of(parts: Iterable[Part]) -> str:
    return "".join(_escaped(part) if isinstance(part, str) else part.regex for part in parts)


def ends_of(parts: Iterable[Part], path: str, starts: set[int]) -> set[int]:
    """Where in a path what begins at one of these places may end."""
    for part in parts:
        if not starts:
            break
        if isinstance(part, str):
            starts = {start + len(part) for start in starts if path.startswith(part, start)}
        else:
            starts = part.ends(path, starts)
    return starts


def shared_by(parts: Sequence[Part], after: str) -> str:
    """What all begins with that matches, where all that follows begins with ``after``."""
    for part in reversed(parts):
        match part:
            case str():
                after = part + after
            case Choice():
                after = commonprefix([shared_by(one, after) for one in part.of])  # noqa: RUF071 -- of characters
            case Numbers() if part.low == part.high:
                after = str(part.low).zfill(part.width) + after
            case _:
                after = ""
    return after


def _escaped(text: str) -> str:
    # Any sign of ASCII but '_' may be escaped in both engines; these must be, in a class or out of one.
    return re.sub(r"[\\^$.|?*+()\[\]{}&~-]", r"\\\g<0>", text)


def _span(of: tuple[str, str]) -> str:
    first, last = map(_escaped, of)
    return first if first == last else f"{first}-{last}"


def _one_of(regexes: Iterable[str]) -> str:
    return f"(?:{'|'.join(regexes)})"


def _between(low: str, high: str) -> str:
    """The regular expression of all numbers between two that have as many digits, with both of them."""
    if low[:1] == high[:1]:
        return low[:1] + (_between(low[1:], high[1:]) if low else "")
    rest = len(low) - 1
    first, last = int(low[0]), int(high[0])
    ways: list[str] = []
    if low[1:] != "0" * rest:
        ways.append(low[0] + _between(low[1:], "9" * rest))
        first += 1
    if high[1:] != "9" * rest:
        ways.append(high[0] + _between("0" * rest, high[1:]))
        last -= 1
    if first <= last:
        ways.append(f"[{first}-{last}]" + "[0-9]" * rest)
    return _one_of(ways)
