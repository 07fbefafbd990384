"""What a load fills of a table, as what it lands, and what every row has to hold to before readers see any.

Pure: no clock, no database, no Dagster. Rows land in a private table in which nothing is lost that may be wrong: what
is required may be absent there, and a time is a number of microseconds since 1970, in which PostgreSQL's infinity and
a year that ClickHouse does not have are still what they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from dags.domain.errors import UserError
from dags.domain.expression import Expression

# Of the target: the team, the id by which an event counts once, when it was, and what it is called.
TEAM, EVENT_ID, TIME, EVENT = "team_id", "uuid", "timestamp", "event"
REQUIRED = (TEAM, EVENT_ID, TIME, EVENT)

# What a load fills itself, what the table stamps, and what it works out.
LOAD_ID, INSERTED_AT = "load_id", "inserted_at"
NOT_MAPPED = frozenset({LOAD_ID, INSERTED_AT, "qualifies"})

# Times that are infinite travel as this number of microseconds, and as its negative.
INFINITY = 2**63 - 1

# Of an event: before it is where times land that were none; what follows the other, a ``Date`` does not hold.
FIRST_YEAR, LAST_YEAR = 1971, 2148


def _micros(year: int) -> int:
    return (datetime(year, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _number(number: int) -> str:
    """A number in an expression, in which a minus is none."""
    return str(number) if number >= 0 else f"negate({-number})"


# The instants of events, as microseconds since 1970: from the first on, before the other.
FIRST_MICROS, END_MICROS = _micros(FIRST_YEAR), _micros(LAST_YEAR + 1)

# What types of times hold whole; what is beyond begins anew, or is cut, without a word.
_YEARS = (
    (re.compile(r"DateTime64(?:\(.*\))?"), (1900, 2261)),
    (re.compile(r"DateTime(?:\(.*\))?"), (1970, 2105)),
    (re.compile(r"Date32"), (1900, 2298)),
    (re.compile(r"Date"), (1970, 2148)),
)


class Kind(StrEnum):
    """What a column holds, as far as it matters for bringing it there."""

    TEXT = "text"
    WHOLE = "whole"
    FLOAT = "float"
    BOOL = "bool"
    UUID = "uuid"
    TIME = "time"
    DATE = "date"


TIMES = (Kind.TIME, Kind.DATE)

_KINDS = (
    (re.compile(r"String"), Kind.TEXT),
    (re.compile(r"U?Int(?:8|16|32|64)"), Kind.WHOLE),
    (re.compile(r"Float(?:32|64)"), Kind.FLOAT),
    (re.compile(r"Bool"), Kind.BOOL),
    (re.compile(r"UUID"), Kind.UUID),
    (re.compile(r"DateTime(?:64)?(?:\(.*\))?"), Kind.TIME),
    (re.compile(r"Date(?:32)?"), Kind.DATE),
)
_WITHIN = re.compile(r"(?:LowCardinality|Nullable)\((.*)\)")


def within(type_: str) -> str:
    """A ClickHouse type without what is around it: ``Int8`` of ``LowCardinality(Nullable(Int8))``."""
    while inner := _WITHIN.fullmatch(type_):
        type_ = inner[1]
    return type_


def kind_of(type_: str) -> Kind | None:
    """What a ClickHouse type holds; None if loads do not fill it."""
    return next((kind for pattern, kind in _KINDS if pattern.fullmatch(within(type_))), None)


@dataclass(frozen=True)
class Column:
    """A column of the target that a load fills, of a type of the target's: from a column of its source, or with a
    ``constant``.
    """

    name: str
    type: str
    constant: str | None = None

    @property
    def kind(self) -> Kind:
        """Raises: UserError: loads do not fill such a column."""
        kind = kind_of(self.type)
        if kind is None:
            raise UserError(
                f"the column {self.name} is {self.type}: loads fill texts, whole numbers, floats, Bool, UUID and times"
            )
        return kind

    @property
    def years(self) -> tuple[int, int]:
        """The first and the last year whose times it may hold."""
        first, last = next(years for pattern, years in _YEARS if pattern.fullmatch(within(self.type)))
        return (max(first, FIRST_YEAR), min(last, LAST_YEAR)) if self.name == TIME else (first, last)

    @property
    def landing_type(self) -> str:
        """As what it lands."""
        if self.kind in TIMES or self.name == TEAM:
            return "Nullable(Int64)"
        if self.name == EVENT_ID:
            return "Nullable(UUID)"
        if self.name == EVENT:
            return "Nullable(String)"
        # ClickHouse makes no table with a dictionary of numbers, unless it is told to.
        is_dictionary = self.type.startswith("LowCardinality(")
        is_of_texts = self.kind is Kind.TEXT
        return self.type[len("LowCardinality(") : -1] if is_dictionary and not is_of_texts else self.type

    @property
    def staged(self) -> str:
        """The expression that makes the target's value of what has landed and passed every check."""
        if self.name == TEAM:
            return f"accurateCast(assumeNotNull({TEAM}), '{self.type}')"
        if self.name in (EVENT_ID, EVENT):
            return f"assumeNotNull({self.name})"
        if self.kind not in TIMES:
            return self.name
        moment = f"fromUnixTimestamp64Micro(ifNull({self.name}, 0), 'UTC')"
        if self.kind is Kind.DATE:
            moment = f"toDate32({moment})"
        return f"if(isNull({self.name}), NULL, {moment})" if "Nullable" in self.type else moment


@dataclass(frozen=True)
class Check:
    """What is wrong with rows for which ``condition`` holds, in words."""

    words: str
    condition: str


@dataclass(frozen=True)
class Shape:
    """What a load fills of the table ``target``."""

    target: str
    columns: tuple[Column, ...]

    @property
    def landed(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.constant is None)

    @property
    def constants(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.constant is not None)

    @property
    def declaration(self) -> Expression:
        """The columns of the landing table, beside those that say where a row is from."""
        return Expression(", ".join(f"{column.name} {column.landing_type}" for column in self.landed))

    @property
    def staged(self) -> Expression:
        """What `staged_names` get, in a statement that has the constants as an array of texts, ``_constants``."""
        constants = (
            f"CAST(arrayElement(_constants, {number}), '{column.type}')"
            for number, column in enumerate(self.constants, start=1)
        )
        return Expression(", ".join([*(column.staged for column in self.landed), *constants]))

    @property
    def staged_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in (*self.landed, *self.constants))

    @property
    def team(self) -> Expression:
        """The team of a row that has landed."""
        constant = next((column.constant for column in self.constants if column.name == TEAM), None)
        return Expression(TEAM if constant is None else f"toInt64({int(constant)})")

    def checks(self) -> tuple[Check, ...]:
        """What is looked for in every row; not in constants, which are checked when they are declared."""
        found = []
        for column in self.landed:
            name = column.name
            if name in REQUIRED:
                found.append(Check(f"{name} is absent", f"isNull({name})"))
            if name == TEAM:
                found.append(Check(f"{name} is 0 or less", f"{name} < 1"))
            if name == EVENT_ID:
                found.append(Check(f"{name} is all zeros", f"empty(ifNull({name}, generateUUIDv4()))"))
            if column.kind in TIMES:
                first, last = column.years
                infinite = f"{name} = {INFINITY} OR {name} = negate({INFINITY})"
                outside = f"{name} < {_number(_micros(first))} OR {name} >= {_number(_micros(last + 1))}"
                found.append(Check(f"{name} is infinite", infinite))
                found.append(Check(f"{name} is before {first} or after {last}", f"({outside}) AND NOT ({infinite})"))
        return tuple(found)


def day_of(time: str) -> Expression:
    """The day of a row that lands, by its time; 1970-01-01, which no row may have, where that is none that can be."""
    return Expression(
        f"if({time} >= {FIRST_MICROS} AND {time} < {END_MICROS}, "
        f"toDate(fromUnixTimestamp64Micro(ifNull({time}, 0), 'UTC')), toDate(0))"
    )
