"""What a person hands in as configuration: all that is wrong is said at once, by field, value and what is expected."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import Field

from dags.domain.errors import UserError
from dags.domain.given import EMPTY_IS_NONE, Day, Days, Given, Nothing, TeamIds, Text, Words, choice, read, whole


class Colour(StrEnum):
    """Of a thing."""

    RED = "red"
    DARK_RED = "dark_red"


class Thing(Given):
    """Some of each."""

    who: Words = Field(description="Who says so.")
    first: Day = Field(description="First day.")
    also: Text = ""
    until: Annotated[Day | None, EMPTY_IS_NONE] = None
    days: Days = ()
    teams: TeamIds = ()
    colour: Colour = choice(Colour.RED, "Of the thing.")
    other: Annotated[Colour | None, EMPTY_IS_NONE] = choice(None, "Of another.")
    count: int = Field(default=7, ge=1, le=2000)
    most: Annotated[int, Field(ge=1, le=9)] | None = None
    is_so: bool = False
    hours: int = whole(1, 0, 2400, "hours", "Of work.")


GOOD: dict[str, Any] = {"who": " ada ", "first": "2026-01-02"}


def test_what_is_as_it_should_be_is_read_with_its_types_and_defaults() -> None:
    given = {**GOOD, "colour": "dark_red", "other": "", "until": "", "days": ["2026-01-03"], "teams": [7], "most": 9}
    found = read(Thing, given)
    assert found.problems == ()
    assert found.required() == Thing.model_construct(
        who="ada", first=date(2026, 1, 2), also="", until=None, days=(date(2026, 1, 3),), teams=(7,),
        colour=Colour.DARK_RED, other=None, count=7, most=9, is_so=False, hours=1,
    )  # fmt: skip
    assert read(Nothing, {}).required() == Nothing()


REFUSED: list[tuple[str, object, str]] = [
    ("who", " ", "who is empty: it is kept and shown, for whoever asks later who did it and why"),
    ("who", "a\x1b[2J", "who holds what is not shown as it is (U+001B): give plain text in one line"),
    ("who", 7, "who is 7: give a text"),
    ("first", "2026-1-2", "first is '2026-1-2': not a day (Invalid isoformat string: '2026-1-2'); give YYYY-MM-DD"),
    ("first", 20260102, "first is 20260102: give a day, YYYY-MM-DD"),
    ("also", None, "also is None: give a text"),
    ("also", {"env": "CLICKHOUSE_DSN"}, "also is {'env': 'CLICKHOUSE_DSN'}: give a text"),
    ("until", "tomorrow", "until is 'tomorrow': not a day (Invalid isoformat string: 'tomorrow'); give YYYY-MM-DD"),
    ("days", ["2026-01-02", "x"], "days has 'x': not a day (Invalid isoformat string: 'x'); give YYYY-MM-DD"),
    ("days", "2026-01-02", "days is '2026-01-02': give a list"),
    ("teams", [1, 0, True, "2"], "teams has [0, True, '2']: give whole numbers above 0"),
    ("colour", "RED", "colour is 'RED': give one of red, dark_red"),
    ("other", "DARK_RED", "other is 'DARK_RED': give one of red, dark_red"),
    ("count", 0, "count is 0: give a whole number from 1 to 2,000"),
    ("count", "7", "count is '7': give a whole number from 1 to 2,000"),
    ("most", 10, "most is 10: give a whole number from 1 to 9"),
    ("hours", -1, "hours is -1: give a whole number of hours from 0 to 2,400"),
    ("is_so", "yes", "is_so is 'yes': give true or false"),
    ("colours", "red", "colours is no field: did you mean colour?"),
]


@pytest.mark.parametrize(("name", "value", "words"), REFUSED, ids=[f"{name} {value!r}" for name, value, _ in REFUSED])
def test_what_is_not_names_its_field_its_value_and_what_is_expected(name: str, value: object, words: str) -> None:
    found = read(Thing, {**GOOD, name: value})
    assert found.problems == (words,)
    assert name not in found.usable
    assert found.usable.keys() | {name} >= Thing.model_fields.keys()


def test_every_violation_is_said_at_once_in_the_order_of_the_fields_and_the_rest_is_usable() -> None:
    found = read(Thing, {"is_so": 1, "count": 0, "teams": [7], "nothing like it": 1})
    with pytest.raises(UserError) as refused:
        found.required()
    assert str(refused.value).splitlines() == [
        "refused, nothing was touched:",
        "who is missing: Who says so.",
        "first is missing: First day.",
        "count is 0: give a whole number from 1 to 2,000",
        "is_so is 1: give true or false",
        f"nothing like it is no field: there may be {', '.join(Thing.model_fields)}",
    ]
    assert found.usable["teams"] == (7,)
    assert found.usable["colour"] is Colour.RED
