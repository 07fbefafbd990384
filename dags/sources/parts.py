"""What the parts of the declaration of sources have in common: what may stand in a field, and what contradicts itself.

What is refused is named by its place, with what may stand there, and never repeated: people paste an address, or a
key, where a name belongs.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from dags.sources.cron import is_cron

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterator, Mapping

# No row is an event without them.
REQUIRED = ("team_id", "uuid", "timestamp", "event")

# What the load or the table itself fills.
FILLED = ("inserted_at", "load_id", "qualifies")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")

# More are not worth a list.
_SHOWN = 10


@cache
def _time_zones() -> frozenset[str]:
    # PostgreSQL takes others, such as CET, for abbreviations, which know no summer.
    return frozenset(zone for zone in available_timezones() if "/" in zone or zone == "UTC")


def is_identifier(text: str) -> bool:
    """Whether a text is a name that needs no quotes anywhere, at most 63 characters."""
    return bool(_IDENTIFIER.fullmatch(text))


def text_that(is_right: Callable[[str], object], expected: str) -> AfterValidator:
    """Accepts a text, or says what is expected and nothing of what was found."""

    def checked(text: str) -> str:
        if not is_right(text):
            raise unexpected(expected)
        return text

    return AfterValidator(checked)


def unexpected(expected: str) -> PydanticCustomError:
    """The refusal of a value, in words that say nothing of it."""
    return PydanticCustomError("unexpected", "{expected}", {"expected": expected})


def entries_that(is_value: Callable[[str], bool], expected: str) -> BeforeValidator:
    """Accepts texts by target columns; what cannot be is named by its number, for the names are contents too."""

    def checked(given: object) -> object:
        if isinstance(given, dict):
            expectation = f"a target column is letters, digits and '_', not a digit first; {expected}"
            wrong = [
                number
                for number, (target, value) in enumerate(given.items(), 1)
                if not (is_identifier(target) and isinstance(value, str) and is_value(value))
            ]
            if wrong:
                raise unexpected(f"{numbered(wrong)} cannot be: {expectation}")
        return given

    return BeforeValidator(checked)


def numbered(numbers: Collection[int]) -> str:
    """Entries of a mapping by their numbers, the first ten of them."""
    shown = ", ".join(str(number) for number in sorted(numbers)[:_SHOWN])
    noun = "entry" if len(numbers) == 1 else "entries"
    return f"{noun} {shown}" + (" and others" if len(numbers) > _SHOWN else "")


Name = Annotated[
    str,
    text_that(_NAME.fullmatch, "give a name of letters, digits, '_' and '-', a letter first, at most 64 characters"),
]
TimeZone = Annotated[
    str, text_that(lambda text: text in _time_zones(), "give the name of a time zone, such as UTC or Europe/Berlin")
]
Cron = Annotated[
    str, text_that(is_cron, "give five fields of cron: numbers, '*', lists, ranges and steps, such as 15 */6 * * *")
]
Identifier = Annotated[
    str, text_that(is_identifier, "give the name of a named collection: letters, digits and '_', no digit first")
]
Constants = Annotated[dict[str, str], entries_that(lambda _: True, "its value is a text, '' for an empty one")]


class Declared(BaseModel):
    """A part of the declaration: nothing in it is unknown, nothing changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


# --- What contradicts itself, in the document as it was read ------------------------------------------------


def numbered_parts(given: object, place: str) -> list[tuple[str, dict[str, Any]]]:
    """The parts of a list with their places, without what is no such part."""
    parts = given if isinstance(given, list) else []
    return [(f"{place}.{number}", one) for number, one in enumerate(parts) if isinstance(one, dict)]


def mapping(given: object) -> dict[str, Any]:
    """What was given as a mapping; nothing where it is none."""
    return given if isinstance(given, dict) else {}


def repeated(
    parts: list[tuple[str, dict[str, Any]]], called: Callable[[dict[str, Any]], Hashable], advice: str
) -> Iterator[str]:
    """Parts that are called like one before them; one that ``called`` answers None for has no name to compare."""
    first: dict[Hashable, str] = {}
    for place, part in parts:
        if (known := called(part)) is None:
            continue
        if known in first:
            yield f"{place}: it is called as {first[known]} is. {advice}"
        first.setdefault(known, place)


def without_required(columns: Mapping[str, Any], constants: Mapping[str, Any]) -> Iterator[str]:
    """What every event has and neither of the two gives."""
    if lacking := [one for one in REQUIRED if one not in columns and one not in constants]:
        yield f": columns and constants give no {', '.join(lacking)}: no row is an event without"


def constant_uuid(constants: Mapping[str, Any]) -> Iterator[str]:
    """A constant that would make all rows one event."""
    if "uuid" in constants:
        yield ".constants: uuid tells events apart, so it is no constant. Map a column to it"


def given_otherwise(columns: Mapping[str, Any], constants: Mapping[str, Any]) -> Iterator[str]:
    """Target columns that something else fills, or that are given twice."""
    for field, entries in (("columns", columns), ("constants", constants)):
        for one in FILLED:
            if one in entries:
                yield f".{field}: {one} is filled by the load or by the table. Leave it out"
    if both := {number for number, target in enumerate(constants, 1) if target in columns}:
        yield f".constants: {numbered(both)} is mapped by columns too. Leave one of the two"
