"""What lands of a file's columns: every one is read as a text, and made what its target holds, or named as wrong.

Pure: no clock, no database, no Dagster. Formats with types of their own give the same texts, so that one reading serves
all of them. A text that is not what its column wants is no default and no error of the whole file: the row lands, and
says which column is wrong, so that the file is named with the number of its rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dags.domain.expression import Expression
from dags.sources.loads.shape import EVENT, TEAM, TIME, TIMES, Kind, within

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dags.sources.loads.shape import Column, Shape

# A time: a date of ISO 8601, year first, with or without a time of day. Others are read in more than one way, and of
# what is none, as 25:00 or a day 00, ClickHouse makes another time; of a year 0000 it makes this one.
_DATE_FORM = "[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK_FORM = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?"
_ZONE_FORM = "(Z|UTC|[+-](0[0-9]|1[0-4]):?[0-5][0-9])"
TIME_FORM = rf"^{_DATE_FORM}([T ]{_CLOCK_FORM} ?{_ZONE_FORM}?)?$"

# Numbers of so many digits are seconds, milliseconds, microseconds and nanoseconds since 1970, and no other numbers are
# times; what makes microseconds of each.
_EPOCHS = ((10, "{} * 1000000"), (13, "{} * 1000"), (16, "{}"), (19, "intDiv({}, 1000)"))

# What files of Parquet call a column that holds such values already, as `columns_of_parquet.sql` has it: so no text is
# made of each value and a value of that text, a fifth of what it costs to load them. Others are read as texts: whole
# numbers without a sign, decimals, and what two columns of one name are.
_TIMESTAMP = re.compile(r"INT64 Timestamp\(isAdjustedToUTC=(\w+), timeUnit=(milli|micro|nano)seconds[^()]*\)")
_INTEGER = re.compile(r"INT(32|64) (None|Int\(bitWidth=\d+, isSigned=true\))")

# As what a time of each unit is read, and what makes microseconds of it: of milliseconds without an overflow, but a
# number of which is no time.
_MILLIS = "toUnixTimestamp64Milli({0})"
_FAR = 9 * 10**15
_INSTANTS = {
    "milli": (
        "DateTime64(3, 'UTC')",
        f"multiIf(isNull({{0}}), NULL, {_MILLIS} BETWEEN negate({_FAR}) AND {_FAR}, {_MILLIS} * 1000, {_FAR} * 1000)",
    ),
    "micro": ("DateTime64(6, 'UTC')", "toUnixTimestamp64Micro({0})"),
    "nano": ("DateTime64(9, 'UTC')", "toUnixTimestamp64Micro({0})"),
}
_MICROS = dict(_INSTANTS.values())

# What makes of a text what columns hold that want it in one way.
_MADE = {
    Kind.TEXT: "{}",
    Kind.FLOAT: "toFloat64OrNull({})",
    Kind.BOOL: "accurateCastOrNull({}, 'Bool')",
    Kind.UUID: "toUUIDOrNull({})",
}

_WORDS = {
    Kind.WHOLE: "whole number that it holds",
    Kind.FLOAT: "number",
    Kind.BOOL: "true or false",
    Kind.UUID: "UUID",
    Kind.TIME: "time; expected 2026-01-31T12:00:00Z, or seconds, milli-, micro- or nanoseconds since 1970",
    Kind.DATE: "date; expected 2026-01-31",
}


@dataclass(frozen=True)
class Reading:
    """How columns are read, in a statement that has the texts of a row as the tuple ``_row``, the form of times as
    ``_form``, and an empty text as ``_none``.

    ``places`` are those of their texts in the tuple; two may share one. ``time_zone`` is that of times without one.
    ``own_types``: of places at which is no text but a value, its type as `own_type` has it.
    """

    columns: tuple[Column, ...]
    places: tuple[int, ...]
    time_zone: str = "UTC"
    own_types: Mapping[int, str] = field(default_factory=dict)

    @property
    def values(self) -> Expression:
        """What is read, column by column, under the names of these."""
        return Expression(", ".join(f"{self._value(place, column)} AS {column.name}" for place, column in self._placed))

    @property
    def wrong(self) -> Expression:
        """The number of the first column that is not what it is to be; 0 if all are."""
        found = [
            f"({self._is_there(place)}) AND isNull({self._value(place, column)}), {number}"
            for number, (place, column) in enumerate(self._placed, 1)
            if column.kind is not Kind.TEXT
        ]
        return Expression(f"multiIf({', '.join(found)}, 0)")

    @property
    def problems(self) -> tuple[str, ...]:
        """What `wrong` says, in words, number by number; empty of a column that cannot be wrong."""
        return tuple(
            f"{column.name} is no {_WORDS[column.kind]}" if column.kind is not Kind.TEXT else ""
            for column in self.columns
        )

    @property
    def _placed(self) -> tuple[tuple[int, Column], ...]:
        return tuple(zip(self.places, self.columns, strict=True))

    def own_type(self, place: int, said: str) -> str:
        """As what a column of a file is to be read in place of a text, by what the file says of it: empty if as a text.

        A time that says that it is an instant is one in whatever zone, so no text is made of it that does not.
        """
        kinds = {column.kind for one, column in self._placed if one == place}
        if kinds == {Kind.WHOLE}:
            return "Int64" if _INTEGER.fullmatch(said) else ""
        found = _TIMESTAMP.fullmatch(said) if Kind.TIME in kinds <= {*TIMES, Kind.TEXT} else None
        if found is None or (found[1] != "true" and self.time_zone != "UTC"):
            return ""
        return _INSTANTS[found[2]][0]

    def _is_there(self, place: int) -> str:
        text = _text(place)
        return f"isNotNull({text})" if place in self.own_types else f"{text} != ''"

    def _value(self, place: int, column: Column) -> str:
        text, kind = _text(place), column.kind
        if (micros := _MICROS.get(self.own_types.get(place, ""))) is not None:
            if kind is Kind.TIME:
                return micros.format(text)
            text = f"toString({text})"
        if kind in _MADE:
            return _MADE[kind].format(text)
        if kind is Kind.WHOLE:
            type_ = "Int64" if column.name == TEAM else within(column.type)
            return f"accurateCastOrNull({text}, '{type_}')"
        return self._moment(text, kind)

    def _moment(self, text: str, kind: Kind) -> str:
        number = f"toInt64OrNull({text})"
        numbers = [
            f"length({text}) = {digits} AND isNotNull({number}), {made.format(number)}" for digits, made in _EPOCHS
        ]
        zone = self.time_zone
        if kind is Kind.DATE:  # a day is that day, wherever
            numbers, zone, text = [], "UTC", f"substring({text}, 1, 10)"
        written = f"toUnixTimestamp64Micro(parseDateTime64BestEffortOrNull({text}, 6, '{zone}'))"
        return f"multiIf({', '.join([*numbers, f'match(ifNull({text}, _none), _form), {written}'])}, NULL)"


def _text(place: int) -> str:
    return f"tupleElement(_row, {place})"


def read_again(columns: Sequence[Column], there: Mapping[str, str]) -> Expression:
    """The same of a row that is in the target: of each column as that column of the target which ``there`` names."""
    named = ((column, f"there.{there[column.name]}") for column in columns)
    return Expression(", ".join(f"{_as_read(column, name)} AS {column.name}" for column, name in named))


def _as_read(column: Column, name: str) -> str:
    if column.kind in TIMES:
        return f"toUnixTimestamp64Micro(toDateTime64({name}, 6, 'UTC'))"
    return f"toInt64({name})" if column.name == TEAM else name


def landed(shape: Shape) -> Expression:
    """What lands, as `Shape.staged_names` are, of columns that were read, the constants as an array of texts,
    ``_constants``, and the ``_number`` of a row's fault: one with a fault lands that many seconds after 1970 began, and
    has as its event where it stands, ``_key``.
    """
    constants = (
        _marked(column.name, f"CAST(arrayElement(_constants, {number}), '{column.type}')")
        for number, column in enumerate(shape.constants, 1)
    )
    return Expression(", ".join([*map(_landed, shape.landed), *constants]))


def _landed(column: Column) -> str:
    name = column.name
    if name == TIME:
        return f"fromUnixTimestamp64Micro(if(_number > 0, toInt64(_number) * 1000000, ifNull({name}, 0)), 'UTC')"
    if name == TEAM:
        return f"accurateCast(if(_number > 0, 0, ifNull({name}, 0)), '{column.type}')"
    if column.kind in TIMES:
        moment = f"fromUnixTimestamp64Micro(if(_number > 0, 0, ifNull({name}, 0)), 'UTC')"
        moment = f"toDate32({moment})" if column.kind is Kind.DATE else moment
        return f"if(isNull({name}), NULL, {moment})" if "Nullable" in column.type else moment
    if "Nullable" in column.type:
        return name
    return _marked(name, f"ifNull({name}, defaultValueOfTypeName('{within(column.type)}'))")


def _marked(name: str, value: str) -> str:
    return f"if(_number > 0, _key, {value})" if name == EVENT else value
