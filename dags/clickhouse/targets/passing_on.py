"""Tables that pass rows on: who writes into a table without being asked.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_IDENTIFIER = r"(?:`(?:[^`\\]|\\.)*`|[^\s`.(]+)"
_VIEWS_TARGET = re.compile(
    rf"CREATE MATERIALIZED VIEW {_IDENTIFIER}\.{_IDENTIFIER} (?:REFRESH (?:[^(`]|`(?:[^`\\]|\\.)*`)*?)?"
    rf"TO ({_IDENTIFIER})\.({_IDENTIFIER})"
)
_TARGET_OF_KIND = {
    "MaterializedView": _VIEWS_TARGET,
    "Buffer": re.compile(r"Buffer\('?([^',]*)'?, '?([^',)]*)'?"),
    "Distributed": re.compile(r"Distributed\('?[^',]*'?, '?([^',]*)'?, '?([^',)]*)'?"),
    "Alias": re.compile(r"Alias\('(?:([^'.]*)(?:', '|\.))?([^']*)'\)"),
}
# These pass on what somebody inserts, and nothing by themselves.
_PASSES_ONLY = ("Distributed", "Alias")


@dataclass(frozen=True)
class PassingOn:
    """A table that passes rows on; ``words``: of a view its definition, of another kind its engine with arguments."""

    database: str
    name: str
    engine: str
    words: str

    @property
    def full_name(self) -> str:
        return f"{self.database}.{self.name}"

    @property
    def target(self) -> str:
        """Where to, as ``database.table``; empty where the words name none."""
        found = _TARGET_OF_KIND[self.engine].match(self.words)
        return f"{(found[1] or '').strip('`') or self.database}.{found[2].strip('`')}" if found else ""


def writers(name: str, tables: Iterable[PassingOn]) -> tuple[str, ...]:
    """Who writes into ``database.table`` without being asked, also through a table before it that passes rows on.

    A Distributed and an Alias do only that; a Buffer counts by itself, for it inserts when it likes.
    """
    by_target: dict[str, list[PassingOn]] = {}
    for table in tables:
        by_target.setdefault(table.target, []).append(table)
    found, seen, ahead = list[str](), {name}, [name]
    while ahead:
        for table in by_target.get(ahead.pop(), ()):
            if table.full_name not in seen:
                seen.add(table.full_name)
                ahead += [table.full_name] * (table.engine != "MaterializedView")
                found += [table.full_name] * (table.engine not in _PASSES_ONLY)
    return tuple(found)
