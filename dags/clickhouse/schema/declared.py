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
_MADE = re.compile(r"^CREATE (?:OR REPLACE )?(?:TABLE|VIEW|DICTIONARY) (?:IF NOT EXISTS )?(\w+)", re.MULTILINE)
_ADDED = re.compile(r"ADD COLUMN IF NOT EXISTS (\w+) (?:Nested\((.*)\)|(\w++(?:\([^)]*\))?+)(?! ALIAS))", re.DOTALL)
_ALIAS = re.compile(r"ADD COLUMN IF NOT EXISTS (\w+) \S+ ALIAS ")
_PART = re.compile(r"ADD (PROJECTION|INDEX) IF NOT EXISTS (\w+)")
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
        [table] = _MADE.findall(self.text) or ALTERED.findall(self.text)
        return str(table)


@cache
def migrations() -> tuple[Migration, ...]:
    """Every numbered file, in order."""
    names = sorted(file.name.removesuffix(".sql") for file in files(PACKAGE).iterdir() if file.name.endswith(".sql"))
    return tuple(Migration(int(name[:4]), name) for name in names)


@cache
def declared_columns() -> dict[str, dict[str, str]]:
    """The columns of each table with their types, read from the DDL, which is where they are declared."""
    columns = {
        created[1]: {name: _DEFAULT.sub("", type_).strip() for name, type_ in _COLUMN.findall(text)}
        for text in _texts()
        if (created := _CREATED.search(text))
    }
    for table, added in added_columns().items():
        columns[table] |= added
    return columns


@cache
def added_columns() -> dict[str, dict[str, str]]:
    """Those of them that a later file adds to a table which is there; a nested one is one array for each of its own."""
    added: dict[str, dict[str, str]] = {}
    for text in _texts():
        if (altered := ALTERED.search(text)) is not None:
            for column, nested, type_ in _ADDED.findall(text):
                if column in FOR_LOADS:
                    continue
                own = {f"{column}.{name}": f"Array({inner})" for name, inner in _NESTED.findall(nested)}
                added.setdefault(altered[1], {}).update(own or {column: type_})
    return added


@cache
def alias_columns() -> dict[str, frozenset[str]]:
    """The columns of each table that are there for its readers alone: aliases, which no build writes or needs."""
    return {
        altered[1]: frozenset(found)
        for text in _texts()
        if (found := _ALIAS.findall(text)) and (altered := ALTERED.search(text)) is not None
    }


@cache
def added_parts() -> dict[str, tuple[str, ...]]:
    """What later files give a table beside columns that all need, as its definition says it there: projections, indices
    and settings; and columns that loads need.
    """
    parts: dict[str, tuple[str, ...]] = {}
    for text in _texts():
        if (altered := ALTERED.search(text)) is not None:
            found = [" ".join(part) for part in _PART.findall(text)]
            found += settings_given(text)
            found += [f"`{column}`" for column, _, _ in _ADDED.findall(text) if column in FOR_LOADS]
            parts[altered[1]] = (*parts.get(altered[1], ()), *found)
    return parts


def settings_given(text: str) -> list[str]:
    """The settings that a file's text gives its table, each with its value."""
    return [one for settings in _SETTINGS.findall(text) for one in settings.split(", ")]


def giving_only(text: str, settings: Sequence[str]) -> str:
    """The text of a file that gives its table these of its settings, and no other."""
    return _SETTINGS.sub(f"MODIFY SETTING {', '.join(settings)}", text)


def _texts() -> tuple[str, ...]:
    return tuple(migration.text for migration in migrations())


def required_columns() -> dict[str, tuple[str, ...]]:
    """The names of the columns of each table that this code works with."""
    return {table: tuple(columns) for table, columns in declared_columns().items()}
