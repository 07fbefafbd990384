"""A database with this project's schema and no row in it: made once for an engine, emptied for each test.

A schema is forty statements; to look at what a test left takes one, and to empty it a few. To write out thirty
definitions is most of what a look costs: whether one may have changed is seen from when its file was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.clickhouse.replicas.store import everywhere
from dags.clickhouse.schema.apply import apply_schema
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clickhouse_connect.driver.client import Client

# The file of a table is written anew with each change of its definition; the time of that is in whole seconds.
_LEFT = """
SELECT
    name,
    (toString(uuid), toUnixTimestamp(metadata_modification_time)) AS written,
    toUnixTimestamp(metadata_modification_time) + 1 < toUnixTimestamp(now()) AS is_over,
    engine = 'KeeperMap' OR endsWith(engine, 'MergeTree') AND total_bytes > 0 AS holds_something
FROM system.tables WHERE database = currentDatabase()
"""
_DEFINITIONS = "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()"
_VERSIONS = "web_analytics_schema_version"


class EmptiedDatabase:
    """The client's database, which exists; whatever else is in it goes."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._made: dict[str, str] = {}
        # By name, when the files of the definitions that were last found to be right had been written.
        self._seen: dict[str, tuple[str, int]] = {}

    def empty(self) -> None:
        """Drop what a test made, empty the rest, and make all anew where it changed a definition."""
        left = self._client.query(_LEFT).result_rows
        written = {name: when for name, when, *_ in left}
        hosts = everywhere(self._client).values()
        if not self._seen or not self._seen.items() <= written.items():
            definitions = self._definitions()
            if not self._made or not self._made.items() <= definitions.items():
                for host in hosts:
                    self._drop(host, self._names(host))
                apply_schema(self._client, WEB_TABLES)
                self._made, self._seen = self._definitions(), {}
                return
            # What is written once more within the second would look the same; the clock of files is a little behind.
            are_over = all(is_over for name, _, is_over, _ in left if name in self._made)
            self._seen = {name: written[name] for name in self._made} if are_over else {}
        for host in hosts:
            names = written.keys() if host is self._client else self._names(host)
            self._drop(host, names - self._made.keys())
        for name, _, _, holds_something in left:
            if holds_something and name in self._made and name != _VERSIONS:
                self._client.command(f"TRUNCATE TABLE {name} SYNC")

    def _definitions(self) -> dict[str, str]:
        return {str(name): str(made) for name, made in self._client.query(_DEFINITIONS).result_rows}

    @staticmethod
    def _names(host: Client) -> set[str]:
        return {name for name, *_ in host.query(_LEFT).result_rows}

    @staticmethod
    def _drop(host: Client, names: Iterable[str]) -> None:
        for name in sorted(names, key=lambda name: not name.endswith("_dict")):
            kind = "DICTIONARY" if name.endswith("_dict") else "TABLE"
            host.command(f"DROP {kind} {name} SYNC")
