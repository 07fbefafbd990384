"""A database with this project's schema and no row in it: made once for an engine, emptied for each test.

A schema is forty statements; to look at what a test left takes one, and to empty it a few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.clickhouse.replicas.store import everywhere
from dags.clickhouse.schema.apply import apply_schema
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clickhouse_connect.driver.client import Client

_LEFT = """
SELECT
    name,
    create_table_query,
    engine = 'KeeperMap' OR endsWith(engine, 'MergeTree') AND total_bytes > 0 AS holds_something
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
        hosts = everywhere(self._client).values()
        if not self._made or not self._made.items() <= definitions.items():
            for host in hosts:
                self._drop(host, {name for name, *_ in host.query(_LEFT).result_rows})
            apply_schema(self._client, WEB_TABLES)
            self._made = {name: definition for name, definition, _ in self._client.query(_LEFT).result_rows}
            return
        for host in hosts:
            self._drop(host, {name for name, *_ in host.query(_LEFT).result_rows} - self._made.keys())
        for name, _, holds_something in left:
            if holds_something and name in self._made and name != _VERSIONS:
                self._client.command(f"TRUNCATE TABLE {name} SYNC")

    @staticmethod
    def _drop(host: Client, names: Iterable[str]) -> None:
        for name in sorted(names, key=lambda name: not name.endswith("_dict")):
            kind = "DICTIONARY" if name.endswith("_dict") else "TABLE"
            host.command(f"DROP {kind} {name} SYNC")
