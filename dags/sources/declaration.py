"""What is declared of the places that late data comes from: pipelines, and the tables and queries of each.

The document is a person's, and people paste an address where a name belongs: so what is refused is named by its place,
with what may stand there, and never repeated. Everything that is wrong is said at once, also what contradicts itself
across fields: that is looked for in the document as it was read, not in what was accepted of it.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from dags.domain.errors import UserError
from dags.sources.cron import is_cron
from dags.work.document import Sort, parsed, violations

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

DECLARATION = Sort("declaration of sources", "the README shows one")

# The setting that names the document.
VARIABLE = "WEB_ANALYTICS_SOURCES"

# No row is an event without them.
REQUIRED = ("team_id", "uuid", "timestamp", "event")

# What the load or the table itself fills.
FILLED = ("inserted_at", "load_id", "qualifies")

# PostgreSQL cuts a longer name in silence, so that it names another thing than it seems to.
MAX_NAME_BYTES = 63

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")

# PostgreSQL reads a bare name with capitals as if it had none: here it must be plain which of the two is meant.
_PART = r'[a-z_][a-z0-9_]*|"(?:[^"]|"")+"'
_TABLE = re.compile(rf"(?:({_PART})\.)?({_PART})")

# More are not worth a list.
_SHOWN = 10


def _is_column(text: str) -> bool:
    # An address is no name; what is accepted is named in answers.
    return text.isprintable() and 0 < len(text.encode()) <= MAX_NAME_BYTES and "://" not in text


def _is_table(text: str) -> bool:
    return bool(_TABLE.fullmatch(text)) and all(map(_is_column, _parts(text)))


def _parts(table: str) -> list[str]:
    """The schema, where it is given, and the table, without quotes."""
    found = _TABLE.fullmatch(table)
    bare = [part for part in found.groups() if part is not None] if found else []
    return [part[1:-1].replace('""', '"') if part.startswith('"') else part for part in bare]


@cache
def _time_zones() -> frozenset[str]:
    # PostgreSQL takes others, such as CET, for abbreviations, which know no summer.
    return frozenset(zone for zone in available_timezones() if "/" in zone or zone == "UTC")


def _text(is_right: Callable[[str], object], expected: str) -> AfterValidator:
    """Accepts a text, or says what is expected and nothing of what was found."""

    def checked(text: str) -> str:
        if not is_right(text):
            raise PydanticCustomError("text", "{expected}", {"expected": expected})
        return text

    return AfterValidator(checked)


def _entries(is_value: Callable[[str], bool], expected: str) -> BeforeValidator:
    """Accepts texts by target columns; what cannot be is named by its number, for the names are contents too."""

    def checked(given: object) -> object:
        if isinstance(given, dict):
            expectation = f"a target column is letters, digits and '_', not a digit first; {expected}"
            wrong = [
                number
                for number, (target, value) in enumerate(given.items(), 1)
                if not (_IDENTIFIER.fullmatch(target) and isinstance(value, str) and is_value(value))
            ]
            if wrong:
                raise PydanticCustomError(
                    "entries", "{which} cannot be: {expected}", {"which": _numbered(wrong), "expected": expectation}
                )
        return given

    return BeforeValidator(checked)


def _numbered(numbers: Collection[int]) -> str:
    shown = ", ".join(str(number) for number in sorted(numbers)[:_SHOWN])
    noun = "entry" if len(numbers) == 1 else "entries"
    return f"{noun} {shown}" + (" and others" if len(numbers) > _SHOWN else "")


Name = Annotated[
    str, _text(_NAME.fullmatch, "give a name of letters, digits, '_' and '-', a letter first, at most 64 characters")
]
Column = Annotated[
    str, _text(_is_column, "give the name of a column as the catalog has it, without quotes, at most 63 bytes")
]
Table = Annotated[
    str,
    _text(_is_table, 'give schema.table or table, each a name in small letters, or within "…" as PostgreSQL has it'),
]
TimeZone = Annotated[
    str, _text(lambda text: text in _time_zones(), "give the name of a time zone, such as UTC or Europe/Berlin")
]
Cron = Annotated[
    str, _text(is_cron, "give five fields of cron: numbers, '*', lists, ranges and steps, such as 15 */6 * * *")
]
Variable = Annotated[
    str,
    _text(
        _IDENTIFIER.fullmatch,
        "give the name of the environment variable that holds postgresql://…, and not the address itself",
    ),
]
Identifier = Annotated[
    str, _text(_IDENTIFIER.fullmatch, "give the name of a named collection: letters, digits and '_', no digit first")
]


class Declared(BaseModel):
    """A part of the declaration: nothing in it is unknown, nothing changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SourceTable(Declared):
    """A table or a declared query: where its rows go, and what becomes of its columns.

    ``table`` is as SQL has it (``relation`` has it without quotes), and names of columns are as the catalog has them.
    ``columns`` maps the target's columns to the source's; a query without it has columns that bear the target's names.
    ``key`` is unique and ordered, batches go by it; ``changed`` is what an incremental load goes by. ``time_zone`` is
    what a ``timestamp without time zone`` is read in.
    """

    table: Table | None = None
    query: Name | None = None
    key: Column | None = None
    changed: Column | None = None
    into: Literal["events"] = "events"
    columns: Annotated[dict[str, str], _entries(_is_column, "its value is the name of a source column")] = Field(
        default_factory=dict
    )
    constants: Annotated[dict[str, str], _entries(lambda _: True, "its value is a text, '' for an empty one")] = Field(
        default_factory=dict
    )
    time_zone: TimeZone = "UTC"
    schedule: Cron | None = None
    schedule_time_zone: TimeZone = "UTC"

    @property
    def name(self) -> str:
        """What requests call it: the table as it is declared, or the query's name."""
        return self.table or self.query or ""

    @property
    def source(self) -> Literal["table", "query"]:
        """What it is in the database."""
        return "query" if self.table is None else "table"

    @property
    def relation(self) -> tuple[str | None, str] | None:
        """Schema and table without quotes; no schema where none is given, None for a query."""
        if self.table is None:
            return None
        *schema, table = _parts(self.table)
        return (schema[0] if schema else None, table)

    @property
    def maps_by_name(self) -> bool:
        """Whether its columns bear the target's names, since none are mapped; only a query's may."""
        return not self.columns


class Pipeline(Declared):
    """A database, by a variable that holds its address or by a named collection of ClickHouse, and what it has."""

    name: Name
    dsn_env: Variable | None = None
    named_collection: Identifier | None = None
    tables: Annotated[tuple[SourceTable, ...], Field(min_length=1)]

    def table(self, name: str) -> SourceTable:
        """The table or query of that name.

        Raises:
            UserError: none is; those that are there are named.
        """
        return _named("table_name", name, self.tables, f"the pipeline {self.name} has")


class Sources(Declared):
    """All that is declared."""

    pipelines: tuple[Pipeline, ...] = ()

    def pipeline(self, name: str) -> Pipeline:
        """The pipeline of that name.

        Raises:
            UserError: none is; those that are there are named.
        """
        if not self.pipelines:
            raise UserError(
                f"pipeline is {name[:100]!r}, and none are declared: let {VARIABLE} name a YAML file that declares "
                "them, the README shows one"
            )
        return _named("pipeline", name, self.pipelines, f"{VARIABLE} declares")


One = TypeVar("One", SourceTable, Pipeline)


def _named(field: str, name: str, known: Iterable[One], whose: str) -> One:
    found = {one.name: one for one in known}
    if name not in found:
        raise UserError(f"{field} is {name[:100]!r}: {whose} {', '.join(found)}")
    return found[name]


_PARTS: dict[str, type[BaseModel]] = {"": Sources, "pipelines": Pipeline, "tables": SourceTable}


def declared(text: str) -> Sources:
    """What a document declares.

    Raises:
        UserError: every violation at once, each with its place in the document; nothing of the document is repeated.
    """
    given = parsed(text, DECLARATION)
    problems = list(_contradictions(given))
    try:
        sources = Sources.model_validate(given)
    except ValidationError as error:
        problems = violations(error, _PARTS, DECLARATION) + problems
    if problems:
        raise UserError("\n".join(sorted(problems, key=_place)))
    return sources


def _place(problem: str) -> list[tuple[int, str]]:
    """Where a violation is, as documents are read: what is wrong in one place stands together, 2 before 10."""
    place = problem.partition(":")[0].partition(" ")[0]
    return [(int(one), "") if one.isdigit() else (0, one) for one in place.split(".")]


def _contradictions(given: dict[str, Any]) -> Iterator[str]:
    """What no field is wrong about by itself; of what is not even such a part nothing is said here."""
    pipelines = _numbered_parts(given.get("pipelines"), "pipelines")
    yield from _repeated("name", pipelines)
    for place, pipeline in pipelines:
        if (pipeline.get("dsn_env") is None) == (pipeline.get("named_collection") is None):
            yield f"{place}: give either dsn_env or named_collection"
        tables = _numbered_parts(pipeline.get("tables"), f"{place}.tables")
        yield from _repeated("table", tables)
        for at, table in tables:
            yield from (f"{at}{problem}" for problem in _contradictions_of(table))


def _contradictions_of(table: dict[str, Any]) -> Iterator[str]:
    if (table.get("table") is None) == (table.get("query") is None):
        yield ": give either table or query"
    is_query = table.get("table") is None
    columns, constants = (_mapping(table.get(field)) for field in ("columns", "constants"))
    if table.get("key") is None and not is_query:
        yield ".key is missing: name a column that is unique and ordered, batches go by it"
    if table.get("schedule") is not None and table.get("changed") is None and table.get("key") is None:
        yield ".schedule: a scheduled load is incremental, so give changed, or a key that is a whole number"
    lacking = [one for one in REQUIRED if one not in columns and one not in constants]
    if lacking and (columns or not is_query):
        yield f": columns and constants give no {', '.join(lacking)}: no row is an event without"
    if "uuid" in constants:
        yield ".constants: uuid tells events apart, so it is no constant. Map a column to it"
    for field, entries in (("columns", columns), ("constants", constants)):
        for one in FILLED:
            if one in entries:
                yield f".{field}: {one} is filled by the load or by the table. Leave it out"
    if both := {number for number, target in enumerate(constants, 1) if target in columns}:
        yield f".constants: {_numbered(both)} is mapped by columns too. Leave one of the two"


def _repeated(what: Literal["name", "table"], parts: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    """Parts that are called like one before them."""
    first: dict[object, str] = {}
    for place, part in parts:
        called = part.get("name") if what == "name" else part.get("query") or part.get("table")
        if not isinstance(called, str):
            continue
        # Quotes that change nothing name no other table.
        known = tuple(_parts(called)) or (called,)
        if known in first:
            yield f"{place}: it is called as {first[known]} is. Give each {what} one entry"
        first.setdefault(known, place)


def _numbered_parts(given: object, place: str) -> list[tuple[str, dict[str, Any]]]:
    parts = given if isinstance(given, list) else []
    return [(f"{place}.{number}", one) for number, one in enumerate(parts) if isinstance(one, dict)]


def _mapping(given: object) -> dict[str, Any]:
    return given if isinstance(given, dict) else {}
