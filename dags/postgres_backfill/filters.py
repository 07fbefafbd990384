"""Filters of a backfill: which rows of a table are asked for, as a list, as a text, and as PostgreSQL's predicate.

Pure: no clock, no database, no Dagster. A text is `column operator value`, separated by `;`, all of which must hold:

    team_id = 5; "Path" LIKE '/it''s;%'; happened_at >= '2026-01-31'; session IS NOT NULL

A column is written as in SQL: `Path` is the column path, `"Path"` is the one that is spelt so. A value is a text in
single quotes, a number, true or false, and is always handed on as a literal without a type: it means what it means
when the same is typed into psql with quotes around it.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.errors import UserError
from dags.postgres_backfill.column_types import Operator, operators_of, value_problem
from dags.postgres_backfill.quoting import identifier, literal, obstacle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["MAX_FILTERS", "Filter", "Operator", "parse", "predicate", "problems", "text_of"]

MAX_FILTERS = 5
# Of what is not understood, this much is shown. Chosen.
SHOWN_CHARACTERS = 60
SHOWN_NAMES = 20

_QUOTED = r"'(?:[^']|'')*+'"
_QUOTED_NAME = r'"(?:[^"]|"")*+"'
_TOKEN = re.compile(rf"{_QUOTED}|{_QUOTED_NAME}|[^;'\"]++|.", re.DOTALL)
_COLUMN = re.compile(rf"{_QUOTED_NAME}|[A-Za-z_][A-Za-z0-9_$]*")
_OPERATOR = re.compile(r"<=|>=|<>|!=|=|<|>|(?:IS\s+NOT\s+NULL|IS\s+NULL|I?LIKE)\b", re.IGNORECASE)
_VALUE = re.compile(
    rf"{_QUOTED}|[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.-])|(?:true|false)\b", re.IGNORECASE
)
_PLAIN = re.compile("[a-z_][a-z0-9_]*")


@dataclass(frozen=True)
class Filter:
    """One condition: a column by its exact name, an operator, and the value if the operator takes one."""

    column: str
    operator: Operator
    value: str | None = None

    def __str__(self) -> str:
        words = [_column_text(self.column), self.operator.value]
        return " ".join(words if self.value is None else [*words, _value_text(self.value)])


# --- As a text ----------------------------------------------------------------------------------------------


def text_of(filters: Iterable[Filter]) -> str:
    """The filters as one text, the same for the same filters: `parse` reads them back from it as they are."""
    return "; ".join(str(one) for one in filters)


def parse(text: str) -> tuple[Filter, ...]:
    """Read filters from a text; none from an empty one. Whether there are such columns is not known here.

    Raises:
        UserError: the text cannot be read, or has too many; with a line for each violation, which says where it is.
    """
    pieces = list(_pieces(text))
    if not pieces[-1][1].strip():
        pieces.pop()
    found: list[Filter] = []
    violations: list[str] = []
    if "\0" in text:
        violations.append(f"character {text.index(chr(0)) + 1}: NUL, which no text of PostgreSQL has")
    if len(pieces) > MAX_FILTERS:
        violations.append(_too_many(len(pieces)))
    for number, (start, piece) in enumerate(pieces[:MAX_FILTERS], 1):
        read = _read(piece)
        if isinstance(read, Filter):
            found.append(read)
        else:
            violations.append(f"filter {number}, character {start + read.position + 1}: {read.words}")
    if violations:
        raise UserError("\n".join(["the filters cannot be read, nothing was touched:", *violations]))
    return tuple(found)


@dataclass(frozen=True)
class _Violation:
    position: int
    words: str


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """What stands between semicolons that are in no quotes, and where it begins. An open quote has the rest."""
    start = 0
    for token in _TOKEN.finditer(text):
        if token[0] in ("'", '"'):
            break
        if token[0] == ";":
            yield start, text[start : token.start()]
            start = token.end()
    yield start, text[start:]


def _read(piece: str) -> Filter | _Violation:
    position = _next(piece, 0)
    column = _COLUMN.match(piece, position)
    if not column:
        return _expected('a column, name or "Name"', piece, position)
    position = _next(piece, column.end())
    operator_text = _OPERATOR.match(piece, position)
    if not operator_text:
        return _expected(f"one of {', '.join(Operator)} after {column[0]}", piece, position)
    position = _next(piece, operator_text.end())
    operator = _operator(operator_text[0])
    value = None
    if operator.takes_a_value:
        found = _VALUE.match(piece, position)
        if not found:
            return _expected(f"a text in single quotes, a number, true or false after {operator}", piece, position)
        value = found[0][1:-1].replace("''", "'") if found[0].startswith("'") else found[0]
        position = _next(piece, found.end())
    if position < len(piece):
        return _expected("; and the next filter, or nothing,", piece, position)
    return Filter(_column(column[0]), operator, value)


def _next(piece: str, position: int) -> int:
    return len(piece) - len(piece[position:].lstrip())


def _expected(what: str, piece: str, position: int) -> _Violation:
    rest = piece[position:].rstrip()
    hint = ""
    if re.match(r"null\b", rest, re.IGNORECASE):
        hint = "; rows without a value are found by IS NULL"
    elif re.match(r"(?:and|or)\b", rest, re.IGNORECASE):
        hint = "; all filters must hold, there is no OR"
    elif _has_open_quote(rest):
        hint = "; a quote in it has no end: double those that belong to the text"
    return _Violation(position, f"expected {what} but found {_legible(rest) or 'the end'}{hint}")


def _has_open_quote(text: str) -> bool:
    return any(token[0] in ("'", '"') for token in _TOKEN.finditer(text))


def _operator(text: str) -> Operator:
    words = " ".join(text.upper().split())
    return Operator("!=" if words == "<>" else words)


def _column(text: str) -> str:
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.lower()


def _column_text(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _value_text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


# --- Against a table ----------------------------------------------------------------------------------------


def problems(filters: Iterable[Filter], types: Mapping[str, str]) -> list[str]:
    """Everything because of which PostgreSQL would refuse the filters, or select what nobody asked for; none if usable.

    `types` are all columns of the table, or of the query, with their types as `format_type` names them.
    """
    asked = tuple(filters)
    found = [_too_many(len(asked))] if len(asked) > MAX_FILTERS else []
    for number, one in enumerate(asked, 1):
        found += [f"filter {number}, {_legible(str(one))}: {problem}" for problem in _problems(one, types)]
    return found


def predicate(filters: Iterable[Filter], types: Mapping[str, str]) -> str:
    """The filters as what may follow `WHERE` in PostgreSQL; `true` without any.

    Raises:
        ValueError: they have `problems`, for which the caller was to ask before.
    """
    asked = tuple(filters)
    if found := problems(asked, types):
        raise ValueError("\n".join(found))
    return " AND ".join(f"({_condition(one)})" for one in asked) or "true"


def _condition(one: Filter) -> str:
    words = [identifier(one.column), one.operator.value]
    return " ".join(words if one.value is None else [*words, literal(one.value)])


def _problems(one: Filter, types: Mapping[str, str]) -> Iterator[str]:
    column_type = types.get(one.column)
    if column_type is None:
        yield f"there is no column {_column_text(one.column)}: {_closest(one.column, types)}"
    elif one.operator not in (known := operators_of(column_type)):
        yield f"the column is {column_type}, which has no {one.operator}: use one of {', '.join(known)}"
    if one.value is None:
        if one.operator.takes_a_value:
            yield f"{one.operator} takes a value, and there is none; rows without a value are found by IS NULL"
        return
    if not one.operator.takes_a_value:
        yield f"{one.operator} takes no value: leave it out"
    elif found := obstacle(one.value):
        yield f"the value has {found}"
    elif one.operator.takes_a_pattern:
        if (len(one.value) - len(one.value.rstrip("\\"))) % 2:
            yield "the pattern ends within an escape, which PostgreSQL refuses: double the backslash at its end"
    elif column_type is not None and (found := value_problem(one.value, column_type)):
        yield f"the column is {column_type}, and the value {found}"


def _closest(column: str, types: Mapping[str, str]) -> str:
    by_lower = {name.lower(): name for name in types}
    close = difflib.get_close_matches(column.lower(), by_lower, n=1)
    if close:
        return f"did you mean {_column_text(by_lower[close[0]])}?"
    names = [_column_text(name) for name in types]
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return f"there are {', '.join(names[:SHOWN_NAMES])}{more}"


def _too_many(number: int) -> str:
    return f"there are {number} filters, and at most {MAX_FILTERS} are taken: leave some out, or declare a query"


def _legible(text: str) -> str:
    """The beginning of what was handed in, on one line of any log."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:SHOWN_CHARACTERS])
    return shown if len(text) <= SHOWN_CHARACTERS else f"{shown}…"
