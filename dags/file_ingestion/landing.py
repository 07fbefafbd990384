"""The private table in which a group of files lands: made like the target, so that its days are attached as they are.

A row is known by the number of its file's load. Rows that are no events are on 1970-01-01 and stay there.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.file_ingestion.location import PACKAGE
from dags.sources.loads.attaching import make_apart

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from clickhouse_connect.driver.client import Client


@dataclass(frozen=True)
class FileLanding:
    """What has landed of a group of files, in the table ``name``."""

    client: Client
    name: str

    @classmethod
    def made(cls, client: Client, name: str, target: str) -> FileLanding:
        """An empty one."""
        make_apart(client, name, target)
        return cls(client, name)

    def rows(self) -> dict[int, int]:
        """The events of each load of which any has landed."""
        return dict(self._sql.rows("landed", landing=self.name))

    def faults(self) -> dict[int, dict[int, tuple[int, Sequence[str]]]]:
        """Of each load the rows that are none: of each fault how many, and where some stand."""
        found: dict[int, dict[int, tuple[int, Sequence[str]]]] = defaultdict(dict)
        for load, number, rows, keys in self._sql.rows("landed_faults", landing=self.name):
            found[load][number] = (rows, keys)
        return found

    def rows_by_day(self) -> Mapping[date, int]:
        """The events that it brings."""
        return dict(self._sql.rows("landed_days", landing=self.name))

    def strangers(self) -> set[int]:
        """The teams of these that are not enabled."""
        return {team for (team,) in self._sql.rows("strangers", landing=self.name)}

    def leave_out(self, loads: Collection[int]) -> None:
        """Forget what has landed of some loads."""
        if loads:
            self._sql.command("leave_out", {"loads": sorted(loads)}, landing=self.name)

    @property
    def _sql(self) -> Sql:
        return Sql(PACKAGE, self.client)
