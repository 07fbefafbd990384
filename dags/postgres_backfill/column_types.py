"""What PostgreSQL is known to refuse of a column's type: operators that it has not, values that are none of its own.

Pure: no clock, no database, no Dagster. PostgreSQL has the last word on everything; here is said early, and in words,
what it would surely refuse. What is not known for sure passes, as most ways to write a date do; only that a type which
PostgreSQL does not come with is no text is taken for granted, `citext` aside. Types are named as `format_type` names
them, a domain by what it is a domain over.
"""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum


class Operator(StrEnum):
    """What a filter may ask; each means what PostgreSQL means by it."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    GREATER = ">"
    LESS_OR_EQUAL = "<="
    GREATER_OR_EQUAL = ">="
    LIKE = "LIKE"
    ILIKE = "ILIKE"
    IS_NULL = "IS NULL"
    IS_NOT_NULL = "IS NOT NULL"

    @property
    def takes_a_value(self) -> bool:
        return self not in _NULLITY

    @property
    def takes_a_pattern(self) -> bool:
        return self in _PATTERNS


_NULLITY = (Operator.IS_NULL, Operator.IS_NOT_NULL)
_PATTERNS = (Operator.LIKE, Operator.ILIKE)
_ORDER = (Operator.LESS, Operator.GREATER, Operator.LESS_OR_EQUAL, Operator.GREATER_OR_EQUAL)

_TEXTS = {"text", "character varying", "character", "citext", "name", '"char"'}
# Tried with every type of PostgreSQL 15 and 18, which the tests do again with the version that they run on.
_WITHOUT_EQUAL = {"json", "jsonpath", "xml", "point", "polygon", "refcursor", "pg_snapshot", "txid_snapshot"}
_WITHOUT_UNEQUAL = (_WITHOUT_EQUAL - {"point"}) | {"box", "path", "line", "cid", "aclitem"}
_WITHOUT_ORDER = _WITHOUT_EQUAL | {"line", "xid", "cid", "aclitem"}

_INTEGERS = {"smallint": 16, "integer": 32, "bigint": 64}
_DATES = {"date", "timestamp without time zone", "timestamp with time zone"}
_TIMES = {*_DATES, "time without time zone", "time with time zone"}
_RANGES_OF_TIMES = {f"{of}{kind}" for of in ("date", "ts", "tstz") for kind in ("range", "multirange")}

# As PostgreSQL 16 and later read them; earlier ones know no underscores and nothing but decimals.
_DIGITS = "[0-9](?:_?[0-9])*"
_WHOLE = f"0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|{_DIGITS}"
_INTEGER = re.compile(f"([+-]?)({_WHOLE})")
_NUMERIC = re.compile(
    rf"[+-]?(?:{_WHOLE}|(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?|(?i:nan|inf(?:inity)?))"
)
# As C's `strtod` reads them.
_FLOAT = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    r"|0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*(?:[pP][+-]?[0-9]+)?|(?i:nan(?:\(\w*\))?|inf(?:inity)?))"
)
# A word may be cut off as long as it is no other's beginning.
_SHORTEST = {"true": 1, "false": 1, "yes": 1, "no": 1, "on": 2, "off": 2, "1": 1, "0": 1}
_BOOLEANS = [word[:length] for word, shortest in _SHORTEST.items() for length in range(shortest, len(word) + 1)]
_HEX = "[0-9a-fA-F]{4}(?:-?[0-9a-fA-F]{4}){7}"
_FORMS = {
    "numeric": (_NUMERIC, "is no number"),
    "real": (_FLOAT, "is no number"),
    "double precision": (_FLOAT, "is no number"),
    "boolean": (re.compile("|".join(_BOOLEANS), re.IGNORECASE), "is no boolean"),
    "uuid": (re.compile(rf"{_HEX}|\{{{_HEX}\}}"), "is no UUID: 32 hex digits, with or without hyphens"),
}
# Year first, so that no setting decides which number is the month; without BC, when other years leap.
_ISO = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[T ][0-9:.+\-Z ]*)?")
# `J .` is a date to PostgreSQL, of 4714 BC.
_TIME_WORDS = re.compile(r"[0-9.]|infinity|epoch|allballs|now|today|tomorrow|yesterday", re.IGNORECASE)
_MOVING = re.compile(r"(?<![a-z])(?:now|today|tomorrow|yesterday)(?![a-z])", re.IGNORECASE)


def operators_of(column_type: str) -> tuple[Operator, ...]:
    """The operators that a filter on a column of that type may have, in the order of `Operator`."""
    base, is_array = _base(column_type)
    lacking: set[Operator] = set()
    if base not in _TEXTS or is_array:
        lacking |= {Operator.ILIKE} if base == "bytea" and not is_array else set(_PATTERNS)
    if not is_array:
        lacking |= {Operator.EQUAL} if base in _WITHOUT_EQUAL else set()
        lacking |= {Operator.UNEQUAL} if base in _WITHOUT_UNEQUAL else set()
        lacking |= set(_ORDER) if base in _WITHOUT_ORDER else set()
    return tuple(operator for operator in Operator if operator not in lacking)


def value_problem(value: str, column_type: str) -> str | None:
    """Why no column of that type can be compared with the value, in words that follow it; None if nothing is known.

    One thing is refused that PostgreSQL takes: `today` and its like are another time in each batch, and after a
    resume, so that the rows would be those of no filter at all.
    """
    base, is_array = _base(column_type)
    if (base in _TIMES or base in _RANGES_OF_TIMES) and (found := _MOVING.search(value)):
        return f"would be another time in every batch: write the time that {found[0]!r} stands for"
    if is_array:
        return None
    text = value.strip()
    if base in _INTEGERS:
        return _integer_problem(text, base)
    if base in _TIMES:
        return _time_problem(text, base)
    form, words = _FORMS.get(base, (None, None))
    return words if form and not form.fullmatch(text) else None


def _integer_problem(text: str, base: str) -> str | None:
    found = _INTEGER.fullmatch(text)
    if not found:
        return "is no whole number"
    sign, number = found[1], found[2].replace("_", "").lower()
    prefix = number[:2]
    radix = {"0x": 16, "0o": 8, "0b": 2}.get(prefix)
    digits = (number.removeprefix(prefix) if radix else number).lstrip("0") or "0"
    bits = _INTEGERS[base]
    limit = 1 << (bits - 1)
    # More digits than bits are too many to any base, and Python reads no more than some thousand.
    fits = len(digits) <= bits and -limit <= int(sign + digits, radix or 10) < limit
    return None if fits else f"is out of range: {base} holds {-limit} to {limit - 1}"


def _time_problem(text: str, base: str) -> str | None:
    if not _TIME_WORDS.search(text):
        return f"is no {'date' if base == 'date' else 'time'}, such as '2026-01-31'"
    if base in _DATES and (found := _ISO.fullmatch(text)):
        try:
            date(*(int(number) for number in found.groups()))
        except ValueError as error:
            return f"is no date: {error}"
    return None


def _base(column_type: str) -> tuple[str, bool]:
    """The type without its limits, `numeric(10,2)`, and whether it is an array of that."""
    without = re.sub(r"\([0-9, -]*\)", "", column_type)
    base = without.rstrip("[]")
    # Wherever the extension was installed to.
    return ("citext" if base.endswith(".citext") else base), base != without
