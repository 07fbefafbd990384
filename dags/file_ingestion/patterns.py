r"""Which files a pattern means, and which days a file's path names.

A pattern is a glob over a path relative to the source's root. It is compiled here and matched by ClickHouse as a
regular expression, for ClickHouse's own globs know neither classes nor escapes, and a brace in a name breaks them:

====================  ==================================================================================
``*``, ``?``          any characters but ``/``, also none; one character but ``/``
``**``                as a whole segment: any number of segments, also none; at the end all that is below
``{a,b}``             alternatives, which may nest, hold wildcards, and be empty
``{1..9}``            whole numbers, ``{01..12}`` with zeros in front as they are written
``[a-c]``, ``[!ab]``  one character of those, or none of those, and never ``/``
``\``                 the next character is itself
====================  ==================================================================================

Everything else is literal. A path is what a store calls a file: two spellings of one umlaut are two names.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from itertools import dropwhile, product, takewhile
from typing import TYPE_CHECKING, NamedTuple, NoReturn
from unicodedata import category

from dags.domain.errors import UserError
from dags.file_ingestion.parts import (
    Below,
    Choice,
    Class,
    Deep,
    Numbers,
    Part,
    Star,
    ends_of,
    regex_of,
    segments_of,
    shared_by,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Far more than a person writes. No pattern of this length compiles to more than 15,000 characters (tried with what
# grows most), which RE2 takes in its default memory.
MAX_TEXT = 1_000
MAX_NUMBERS = 10_000
MAX_DEPTH = 5


_ANY_CHARACTER = Class((), is_negated=True)


@dataclass(frozen=True)
class Pattern:
    """A compiled glob.

    Every path that it matches begins with ``prefix``, which ends with a slash or is empty. ``regex`` is for
    ClickHouse's ``match`` and Python's ``re.fullmatch``; in ``re.search`` its ``$`` would let a last newline pass.
    """

    text: str
    prefix: str
    regex: str
    parts: tuple[Part, ...] = field(repr=False, compare=False)

    def matches(self, path: str) -> bool:
        """Whether it means this path; in time that grows with both their lengths, unlike Python's ``re``."""
        return path.startswith(self.prefix) and len(path) in ends_of(self.parts, path, {0})


def compiled(text: str) -> Pattern:
    """The pattern that a text is.

    Raises:
        UserError: it is none; what is wrong, at which character, and what to write instead.
    """
    if not text:
        raise UserError("pattern is empty: write ** for all files")
    if len(text) > MAX_TEXT:
        raise UserError(f"pattern has {len(text)} characters: {MAX_TEXT} at most, give several patterns instead")
    for at, character in enumerate(text):
        if category(character) in ("Cc", "Cs"):
            _refuse(at, f"U+{ord(character):04X} is no character of a text: write ? in its place")
    reader = _Reader(text)
    parts = reader.parts(0)
    if parts[0] == "/":
        _refuse(0, "a path is relative to the source's root: leave the '/' out")
    if text.endswith("/"):
        _refuse(len(text) - 1, "no file's path ends with '/': write ** after it for all that is below")
    shared = shared_by(parts, "")
    return Pattern(text, shared[: shared.rfind("/") + 1], f"(?s)^{regex_of(parts)}$", parts)


def _refuse(at: int, words: str) -> NoReturn:
    raise UserError(f"pattern, character {at + 1}: {words}")


_RANGE = re.compile(r"\{([0-9]+)\.\.([0-9]+)\}")
_MEANT_AS_RANGE = re.compile(r"-?\w+(?:\.\.-?\w+)+")


class _Reader:
    """Reads a text once, from its beginning."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def parts(self, depth: int) -> tuple[Part, ...]:
        """What stands up to the end, or within braces up to what ends an alternative."""
        start = self._at
        parts: list[Part] = []
        while (character := self._text[self._at : self._at + 1]) and not (depth and character in ",}"):
            part = self._part(character, depth)
            is_joined = isinstance(part, str) and part != "/" and parts and isinstance(parts[-1], str)
            if is_joined and parts[-1] != "/":
                part = f"{parts.pop()}{part}"
            # Any number of stars is one, as one segment of two stars is as good as several.
            if not (parts and part == parts[-1] and isinstance(part, Star | Deep)):
                parts.append(part)
        if any([part for part in segment if part != Deep()] == [".."] for segment in segments_of(parts)):
            _refuse(start, "'..' as a segment names nothing below the root: write the path without it")
        return tuple(parts)

    def _part(self, character: str, depth: int) -> Part:
        at = self._at
        self._at += 1
        match character:
            case "\\":
                return self._escaped()
            case "?":
                return _ANY_CHARACTER
            case "*":
                return self._deep() if self._text.startswith("*", self._at) else Star()
            case "[":
                return self._class()
            case "{":
                return self._numbers(at) or self._choice(depth + 1)
            case "]" | "}":
                _refuse(at, f"nothing is open that this {character!r} closes: write \\{character} for the character")
            case _:
                return character

    def _escaped(self) -> str:
        if self._at == len(self._text):
            _refuse(self._at - 1, r"a '\' escapes the next character, and there is none: write \\ for the character")
        self._at += 1
        return self._text[self._at - 1]

    def _deep(self) -> Part:
        start, self._at = self._at - 1, self._at + 1
        is_last = self._at == len(self._text)
        if self._text[start - 1 : start] not in ("", "/") or not (is_last or self._text[self._at] == "/"):
            _refuse(start, "'**' is a whole segment, such as in a/**/b: write * within a segment or within braces")
        self._at += 1
        return Below() if is_last else Deep()

    def _class(self) -> Part:
        start = self._at - 1
        is_negated = self._text.startswith("!", self._at)
        self._at += is_negated
        if self._text.startswith("^", self._at):
            _refuse(self._at, r"'^' at the beginning of a class: write [!…] for all others, \^ for the character")
        named = list(self._named(start))
        if not named:
            _refuse(start, r"the class is empty: write what it holds, or \[ and \] for the characters")
        ranges: list[tuple[str, str]] = []
        while named:
            first, last = named.pop(0)[0], None
            if len(named) > 1 and named[0] == ("-", False):
                last = named[1][0]
                del named[:2]
            ranges.append((first, last or first))
        for first, last in ranges:
            if first > last:
                _refuse(start, f"the class has {first}-{last}, which is reversed: write {last}-{first}")
        [(first, last), *more] = ranges
        return first if first == last and not more and not is_negated else Class(tuple(ranges), is_negated)

    def _named(self, start: int) -> Iterator[tuple[str, bool]]:
        """The characters up to the end of a class, and whether they are escaped."""
        while True:
            character = self._text[self._at : self._at + 1]
            if not character:
                _refuse(start, r"no ] closes this '[': add it, or write \[ for the character")
            self._at += 1
            if character == "]":
                return
            is_escaped = character == "\\"
            character = self._escaped() if is_escaped else character
            if character == "/":
                _refuse(start, r"a class holds no '/': write the segments apart, or \[ for the character '['")
            yield character, is_escaped

    def _numbers(self, start: int) -> Numbers | None:
        found = _RANGE.match(self._text, start)
        if found is None:
            return None
        low, high = sorted(map(int, found.groups()))
        if high - low >= MAX_NUMBERS:
            _refuse(start, f"the range has {high - low + 1} numbers, {MAX_NUMBERS} at most: write * in its place")
        self._at = found.end()
        has_zeros = any(len(number) > 1 and number[0] == "0" for number in found.groups())
        return Numbers(low, high, max(map(len, found.groups())) if has_zeros else 0)

    def _choice(self, depth: int) -> Choice:
        start = self._at - 1
        if depth > MAX_DEPTH:
            _refuse(start, f"braces within braces, {MAX_DEPTH} deep at most: give several patterns instead")
        of: list[tuple[Part, ...]] = []
        end = ","
        while end == ",":
            begun = self._at
            of.append(self.parts(depth))
            if _MEANT_AS_RANGE.fullmatch(self._text, begun, self._at):
                _refuse(begun, r"a range is {1..9}, alone in its braces; write {{1..9},20}, or [a-z] for letters")
            end = self._text[self._at : self._at + 1]
            self._at += 1
        if not end:
            _refuse(start, r"no } closes this '{': add it, or write \{ for the character")
        return Choice(tuple(of))


# What ClickHouse's Date holds whole: what looks like a day in any other year is a number.
_YEARS = range(1970, 2149)

# The numbers of a date, or one whole date.
_NUMBERS = ("year", "month", "day")
_DATE = "date"
_KINDS = {"year": "year", "yyyy": "year", "y": "year", "month": "month", "mm": "month", "m": "month"}
_KINDS |= {"day": "day", "dd": "day", "d": "day", "dt": _DATE, "date": _DATE}

_WHOLE = re.compile(r"([0-9]{4})([-_]?)([0-9]{2})\2([0-9]{2})")
_WITHOUT_ZEROS = re.compile(r"([0-9]{4})(-)([1-9][0-9]?)-([1-9][0-9]?)")
_IN_NAME = re.compile(rf"(?<![0-9]){_WHOLE.pattern}(?![0-9])")
_READ = {"year": re.compile("[0-9]{4}"), "month": re.compile("[0-9]{1,2}"), "day": re.compile("[0-9]{1,2}")}


class _Named(NamedTuple):
    """The days that a part of a path names. The greatest of several counts: what it starts with decides."""

    how_many_numbers: int
    is_by_keys: bool
    place: tuple[int, int]
    first: date
    last: date


def day_of(path: str) -> date | None:
    """The day that a path names, if it names one: see ``days_of``."""
    first, last = days_of(path) or (None, None)
    return first if first == last else None


def days_of(path: str) -> tuple[date, date] | None:
    """The first and the last day that a file of this path holds: of the day, the month or the year that is named.

    A day goes before a month and a month before a year, then keys (``year=2026/month=01``, ``dt=2026-01-05``) before
    segments and names (``2026/01/05``, ``of-20260105``), then what stands last. What is no date, such as 30 February,
    or is no day of ClickHouse's ``Date``, counts for nothing.
    """
    directory, _, name = path.rpartition("/")
    if "=" in name or name.isdigit():
        # What the name means depends on the directories before it.
        named = _named_by(path)
    else:
        named = (*_named_by(directory), *_in_name(name, path.count("/")))
    return max(named)[-2:] if named else None


@lru_cache(maxsize=10_000)
def _named_by(path: str) -> tuple[_Named, ...]:
    """All that a path names. Kept, since the files of a directory share what that names."""
    segments = path.split("/")
    named = [one for at, segment in enumerate(segments) for one in _in_name(segment, at)]
    return (*_by_keys(segments), *_by_segments(segments), *named)


def _by_keys(segments: Sequence[str]) -> Iterator[_Named]:
    found: dict[str, tuple[str, int]] = {}
    for at, segment in enumerate(segments):
        key, _, value = segment.partition("=")
        kind = _KINDS.get(key)
        if kind == _DATE:
            whole = _WHOLE.fullmatch(value) or _WITHOUT_ZEROS.fullmatch(value)
            if whole is not None:
                yield from _named(whole.group(1, 3, 4), (at, 0), is_by_keys=True)
        elif kind is not None and _READ[kind].fullmatch(value):
            found[kind] = (value, at)
    known = [found[kind] for kind in takewhile(found.__contains__, _NUMBERS)]
    if known:
        yield from _named([value for value, _ in known], (max(at for _, at in known), 0), is_by_keys=True)


def _by_segments(segments: Sequence[str]) -> Iterator[_Named]:
    for at in range(len(segments)):
        read = zip(_NUMBERS, segments[at:], strict=False)
        numbers = [value for _, value in takewhile(lambda one: _READ[one[0]].fullmatch(one[1]), read)]
        if numbers:
            yield from _named(numbers, (at, 0), is_by_keys=False)


def _in_name(segment: str, at: int) -> Iterator[_Named]:
    for found in _IN_NAME.finditer(segment):
        yield from _named(found.group(1, 3, 4), (at, found.start()), is_by_keys=False)


def _named(numbers: Sequence[str], place: tuple[int, int], *, is_by_keys: bool) -> Iterator[_Named]:
    year, month, day = (*map(int, numbers), None, None)[: len(_NUMBERS)]
    try:
        first = date(year or 0, 1 if month is None else month, 1 if day is None else day)
    except ValueError:
        return
    if first.year not in _YEARS:
        return
    last = first
    if month is None:
        last = date(first.year, 12, 31)
    elif day is None:
        last = first.replace(day=monthrange(first.year, first.month)[1])
    yield _Named(len(numbers), is_by_keys, place, first, last)


def recent_prefixes(pattern: Pattern, days: Iterable[date]) -> tuple[str, ...] | None:
    """What the paths of these days begin with, sorted; None where the pattern does not say where days lie.

    It says so where ``year=*``, ``month=*`` and ``day=*``, in any order, or ``dt=*`` come directly after what is
    literal. Which spelling a bucket has is not known, so all are there that ``day_of`` reads: with and without zeros,
    each number by itself. A directory ``dt=2026-01-05T10`` lies below none of them.
    """
    segments = segments_of(pattern.parts)[:-1]  # what comes last is the file
    keys = [_key(segment) for segment in dropwhile(_is_literal, segments)]
    kinds = [_KINDS.get(key) for key in keys]
    if kinds[:1] == [_DATE]:
        del keys[1:]
    elif sorted(filter(None, kinds[: len(_NUMBERS)])) == sorted(_NUMBERS):
        del keys[len(_NUMBERS) :]
    else:
        return None
    found = {
        pattern.prefix + "".join(f"{key}={value}/" for key, value in zip(keys, values, strict=True))
        for day in days
        for values in product(*(_spelled(_KINDS[key], day) for key in keys))
    }
    return tuple(sorted(found))


def _is_literal(segment: tuple[Part, ...]) -> bool:
    return all(isinstance(part, str) for part in segment)


def _key(segment: tuple[Part, ...]) -> str:
    """What stands before ``=*``; nothing where the segment is another."""
    match segment:
        case (str() as text, Star()) if text.endswith("="):
            return text[:-1]
        case _:
            return ""


def _spelled(kind: str, day: date) -> set[str]:
    if kind == _DATE:
        return {f"{day}", f"{day:%Y_%m_%d}", f"{day:%Y%m%d}", f"{day.year}-{day.month}-{day.day}"}
    number: int = getattr(day, kind)
    return {f"{number}", f"{number:02}"}


def common_directory(paths: Sequence[str]) -> str:
    """The directories that all paths have in common, with a slash at their end, or nothing."""
    first, last = min(paths), max(paths)
    length = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[: first.rfind("/", 0, length) + 1]
