"""What is declared of the places that late data comes from: pipelines, with their tables and queries, and ingestions.

The document is a person's, and people paste an address where a name belongs: so what is refused is named by its place,
with what may stand there, and never repeated. Everything that is wrong is said at once, also what contradicts itself
across fields: that is looked for in the document as it was read, not in what was accepted of it.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from dags.domain.errors import UserError
from dags.sources.ingestions import Ingestion
from dags.sources.ingestions import contradictions as contradictions_of_ingestions
from dags.sources.parts import (
    Constants,
    Cron,
    Declared,
    Identifier,
    Name,
    TimeZone,
    constant_uuid,
    entries_that,
    given_otherwise,
    is_identifier,
    mapping,
    numbered_parts,
    repeated,
    text_that,
    without_required,
)
from dags.work.document import Sort, parsed, violations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DECLARATION = Sort("declaration of sources", "the README shows one")

# The setting that names the document.
VARIABLE = "WEB_ANALYTICS_SOURCES"

# PostgreSQL cuts a longer name in silence, so that it names another thing than it seems to.
MAX_NAME_BYTES = 63

# PostgreSQL reads a bare name with capitals as if it had none: here it must be plain which of the two is meant.
_PART = r'[a-z_][a-z0-9_]*|"(?:[^"]|"")+"'
_TABLE = re.compile(rf"(?:({_PART})\.)?({_PART})")


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


Column = Annotated[
    str, text_that(_is_column, "give the name of a column as the catalog has it, without quotes, at most 63 bytes")
]
Table = Annotated[
    str,
    text_that(
        _is_table, 'give schema.table or table, each a name in small letters, or within "…" as PostgreSQL has it'
    ),
]
Variable = Annotated[
    str,
    text_that(
        is_identifier,
        "give the name of the environment variable that holds postgresql://…, and not the address itself",
    ),
]


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
    columns: Annotated[dict[str, str], entries_that(_is_column, "its value is the name of a source column")] = Field(
        default_factory=dict
    )
    constants: Constants = Field(default_factory=dict)
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
    ingestions: tuple[Ingestion, ...] = ()

    def pipeline(self, name: str) -> Pipeline:
        """The pipeline of that name.

        Raises:
            UserError: none is; those that are there are named.
        """
        return _declared("pipeline", name, self.pipelines)

    def ingestion(self, name: str) -> Ingestion:
        """The ingestion of that name.

        Raises:
            UserError: none is; those that are there are named.
        """
        return _declared("ingestion", name, self.ingestions)


One = TypeVar("One", SourceTable, Pipeline, Ingestion)


def _declared(field: str, name: str, known: tuple[One, ...]) -> One:
    if not known:
        raise UserError(
            f"{field} is {name[:100]!r}, and none are declared: let {VARIABLE} name a YAML file that declares "
            "them, the README shows one"
        )
    return _named(field, name, known, f"{VARIABLE} declares")


def _named(field: str, name: str, known: Iterable[One], whose: str) -> One:
    found = {one.name: one for one in known}
    if name not in found:
        raise UserError(f"{field} is {name[:100]!r}: {whose} {', '.join(found)}")
    return found[name]


_PARTS: dict[str, type[BaseModel]] = {
    "": Sources,
    "pipelines": Pipeline,
    "tables": SourceTable,
    "ingestions": Ingestion,
}


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
    pipelines = numbered_parts(given.get("pipelines"), "pipelines")
    yield from repeated(pipelines, _name_of_pipeline, "Give each name one entry")
    for place, pipeline in pipelines:
        if (pipeline.get("dsn_env") is None) == (pipeline.get("named_collection") is None):
            yield f"{place}: give either dsn_env or named_collection"
        tables = numbered_parts(pipeline.get("tables"), f"{place}.tables")
        yield from repeated(tables, _name_of_table, "Give each table one entry")
        for at, table in tables:
            yield from (f"{at}{problem}" for problem in _contradictions_of(table))
    yield from contradictions_of_ingestions(given.get("ingestions"))


def _contradictions_of(table: dict[str, Any]) -> Iterator[str]:
    if (table.get("table") is None) == (table.get("query") is None):
        yield ": give either table or query"
    is_query = table.get("table") is None
    columns, constants = mapping(table.get("columns")), mapping(table.get("constants"))
    if table.get("key") is None and not is_query:
        yield ".key is missing: name a column that is unique and ordered, batches go by it"
    if table.get("schedule") is not None and table.get("changed") is None and table.get("key") is None:
        yield ".schedule: a scheduled load is incremental, so give changed, or a key that is a whole number"
    if columns or not is_query:
        yield from without_required(columns, constants)
    yield from constant_uuid(constants)
    yield from given_otherwise(columns, constants)


def _name_of_pipeline(pipeline: dict[str, Any]) -> str | None:
    name = pipeline.get("name")
    return name if isinstance(name, str) else None


def _name_of_table(table: dict[str, Any]) -> tuple[str, ...] | None:
    called = table.get("query") or table.get("table")
    # Quotes that change nothing name no other table.
    return (tuple(_parts(called)) or (called,)) if isinstance(called, str) else None
