"""A database with this project's schema and no row in it: made once for an engine, emptied for each test.

A schema is forty statements; to look at what a test left takes one, and to empty it a few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.clickhouse.schema.apply import apply_schema
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clickhouse_connect.driver.client import Client

_LEFT = """
SELECT name, create_table_query, endsWith(engine, 'MergeTree') AND total_bytes > 0 AS holds_something
FROM system.tables WHERE database = currentDatabase() ORDER BY engine = 'Dictionary' DESC
"""
_VERSIONS = "web_analytics_schema_version"


class EmptiedDatabase:
    """The client's database, which exists; whatever else is in it goes."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._made: dict[str, str] = {}

    def empty(self) -> None:
        """Drop what a test made, empty the rest, and make all anew where it changed a definition."""
        left = self._client.query(_LEFT).result_rows
        definitions = {name: definition for name, definition, _ in left}
        if not self._made or not self._made.items() <= definitions.items():
            self._drop(definitions)
            apply_schema(self._client, WEB_TABLES)
            self._made = {name: definition for name, definition, _ in self._client.query(_LEFT).result_rows}
            return
        self._drop(definitions.keys() - self._made.keys())
        for name, _, holds_something in left:
            if holds_something and name in self._made and name != _VERSIONS:
                self._client.command(f"TRUNCATE TABLE {name} SYNC")

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            kind = "DICTIONARY" if name.endswith("_dict") else "TABLE"
            self._client.command(f"DROP {kind} {name} SYNC")
