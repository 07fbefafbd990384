"""What the numbered files of this package declare: the tables and columns that this code works with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

from dags.clickhouse.sql import statement

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = "dags.clickhouse.schema"
DICTIONARY = "web_pre_aggregated_teams_dict"

# Our own books, without which nothing can be done. Every other table that is declared here is a watched one or the
# source of one: it is judged by itself, and one that is broken keeps nobody from working on the others.
BOOKS = frozenset(
    {
        "web_analytics_schema_version",
        "web_analytics_enabled_teams",
        "web_pre_aggregated_teams",
        "web_pre_aggregated_builds",
        "web_pre_aggregated_day_states",
        "web_pre_aggregated_part_states",
        "web_pre_aggregated_requests",
        "web_analytics_waivers",
        "web_analytics_backfill_stops",
        "web_analytics_backfill_events",
        "web_analytics_file_events",
        "web_analytics_file_schemas",
        "web_analytics_gaps",
    }
)

# What a table needs only where rows are loaded into it (dags/sources/loads): without it, it is as good a source.
FOR_LOADS = frozenset({"load_id"})

_COLUMN = re.compile(r"^    (\w+) ([A-Z](?:[^(),]|\((?:[^()]|\([^()]*\))*\))*)", re.MULTILINE)
_DEFAULT = re.compile(r" DEFAULT .*", re.DOTALL)
_CREATED = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")
ALTERED = re.compile(r"^ALTER TABLE (\w+)", re.MULTILINE)
_MADE = re.compile(r"^CREATE (?:OR REPLACE )?(TABLE|VIEW|DICTIONARY) (?:IF NOT EXISTS )?(\w+)", re.MULTILINE)
_ADDED = re.compile(r"ADD COLUMN IF NOT EXISTS (\w+) (?:Nested\((.*)\)|(\w++(?:\([^)]*\))?+)(?! ALIAS))", re.DOTALL)
_ALIAS = re.compile(r"ADD COLUMN IF NOT EXISTS (\w+) \S+ ALIAS ")
_PART = re.compile(r"(?:ADD|MATERIALIZE) (PROJECTION|INDEX) (?:IF NOT EXISTS )?(\w+)")
_SETTINGS = re.compile(r"MODIFY SETTING (.*)")
_NESTED = re.compile(r"^        (\w+) ([\w()]+?),?$", re.MULTILINE)


@dataclass(frozen=True)
class Migration:
    """One numbered file."""

    version: int
    name: str

    @cached_property
    def text(self) -> str:
        """Its statement, as for a database called `any`."""
        return statement(PACKAGE, self.name, {"database": "any"})

    @cached_property
    def table(self) -> str:
        """The table, view or dictionary that it makes or alters."""
        [table] = [name for _, name in _MADE.findall(self.text)] or ALTERED.findall(self.text)
        return str(table)

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns that it gives a table which is there."""
        return frozenset(_added(self.text)) | frozenset(_ALIAS.findall(self.text))

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """What it gives a table beside columns that all need, as the table's definition says it there: projections,
        indices and settings; and columns that loads need.
        """
        found = [" ".join(part) for part in _PART.findall(self.text)] + settings_given(self.text)
        return (*found, *(f"`{column}`" for column, _, _ in _ADDED.findall(self.text) if column in FOR_LOADS))

    @property
    def is_optional(self) -> bool:
        """Whether all of this code works without what it gives, if more slowly, but for loads."""
        return bool(self.parts) and not self.columns


@cache
def migrations() -> tuple[Migration, ...]:
    """Every numbered file, in order."""
    names = sorted(file.name.removesuffix(".sql") for file in files(PACKAGE).iterdir() if file.name.endswith(".sql"))
    return tuple(Migration(int(name[:4]), name) for name in names)


@cache
def views() -> frozenset[str]:
    """The names of our views."""
    return frozenset(name for one in migrations() for kind, name in _MADE.findall(one.text) if kind == "VIEW")


@cache
def declared_columns() -> dict[str, dict[str, str]]:
    """The columns of each table with their types, read from the DDL, which is where they are declared."""
    columns = {
        created[1]: {name: _DEFAULT.sub("", type_).strip() for name, type_ in _COLUMN.findall(migration.text)}
        for migration in migrations()
        if (created := _CREATED.search(migration.text))
    }
    for table, added in added_columns().items():
        columns[table] |= added
    return columns


@cache
def added_columns() -> dict[str, dict[str, str]]:
    """Those of them that a later file adds to a table which is there; a nested one is one array for each of its own."""
    added: dict[str, dict[str, str]] = {}
    for migration in migrations():
        if columns := _added(migration.text):
            added.setdefault(migration.table, {}).update(columns)
    return added


def _added(text: str) -> dict[str, str]:
    """The columns that a file's text adds, with their types."""
    added: dict[str, str] = {}
    for column, nested, type_ in _ADDED.findall(text):
        if column not in FOR_LOADS:
            own = {f"{column}.{name}": f"Array({inner})" for name, inner in _NESTED.findall(nested)}
            added |= own or {column: type_}
    return added


@cache
def added_parts() -> dict[str, tuple[str, ...]]:
    """What files give each table beside columns that all need."""
    parts: dict[str, dict[str, None]] = {}
    for migration in migrations():
        parts.setdefault(migration.table, {}).update(dict.fromkeys(migration.parts))
    return {table: tuple(found) for table, found in parts.items() if found}


def settings_given(text: str) -> list[str]:
    """The settings that a file's text gives its table, each with its value."""
    return [one for settings in _SETTINGS.findall(text) for one in settings.split(", ")]


def giving_only(text: str, settings: Sequence[str]) -> str:
    """The text of a file that gives its table these of its settings, and no other."""
    return _SETTINGS.sub(f"MODIFY SETTING {', '.join(settings)}", text)


def required_columns() -> dict[str, tuple[str, ...]]:
    """The names of the columns of each table that this code works with."""
    return {table: tuple(columns) for table, columns in declared_columns().items()}
